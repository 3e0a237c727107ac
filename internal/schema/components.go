package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
)

// The components that describe the inputs and outputs of the model's methods.
const (
	PredictInput   = "Input"
	PredictOutput  = "Output"
	PredictRequest = "PredictionRequest" // the body of a request, with the input in it
	TrainInput     = "TrainingInput"
	TrainOutput    = "TrainingOutput"
)

// componentPrefix is the beginning of a $ref to a component.
const componentPrefix = "#/components/schemas/"

// Components are the schemas of a document by their names.
type Components map[string]json.RawMessage

// Decode reads the component of that name into a value. It fails if the component is missing or
// does not have the form of the value.
func (c Components) Decode(name string, into any) error {
	source, ok := c[name]
	if !ok {
		return fmt.Errorf("components.schemas.%s is missing", name)
	}
	if err := json.Unmarshal(source, into); err != nil {
		return fmt.Errorf("components.schemas.%s: %w", name, err)
	}
	return nil
}

// Refer returns the component that a $ref names, nil if there isn't one.
func (c Components) Refer(ref string) json.RawMessage {
	name, ok := strings.CutPrefix(ref, componentPrefix)
	if !ok {
		return nil
	}
	return c[name]
}

// contents is the part of a document that this package reads.
type contents struct {
	Info struct {
		Description string `json:"description"`
	} `json:"info"`
	Paths map[string]struct {
		Post struct {
			Streaming bool `json:"x-cog-streaming"`
		} `json:"post"`
	} `json:"paths"`
	Components struct {
		Schemas Components `json:"schemas"`
	} `json:"components"`
	Exact Components `json:"x-cog-exact"`
}

// checked returns the components. An exact one replaces the component of its name.
func (c contents) checked() Components {
	maps.Copy(c.Components.Schemas, c.Exact)
	return c.Components.Schemas
}

func (c contents) streaming() bool { return c.Paths["/predictions"].Post.Streaming }

// contents parses the document again, because to keep all components would double its memory.
func (d *Document) contents() (c contents) {
	_ = json.Unmarshal(d.text, &c) // Parse has parsed it before
	return c
}

// Components returns the schemas as clients see them.
func (d *Document) Components() Components { return d.contents().Components.Schemas }

// Exact returns the schemas that inputs are checked against: see x-cog-exact.
func (d *Document) Exact() Components { return d.contents().checked() }

// Description returns the author's description of the model.
func (d *Document) Description() string { return d.contents().Info.Description }
