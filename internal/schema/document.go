// Package schema answers one question: is this input valid? It reads the OpenAPI document of a
// model and checks inputs against it, turning lossless text into numbers and booleans on the way.
//
// Checking and coercing are one walk over the raw text. A JSON Schema validator works on decoded
// values: it needs a coercing walk before it, decodes every string, and takes 1 and 1.0 for the
// same. On one machine the walk took 1.3 µs and 7 allocations for a small input and 7 ms without a
// copy for a data URL of 16 MiB; jsonschema/v6, without any coercion, took 6.5 µs and 57
// allocations, and 180 ms and 100 MB. The vocabulary is that of JSON Schema and OpenAPI 3.0 as the
// models of both pydantics write it. A keyword that asserts something and is not checked fails
// Parse; words that are in no vocabulary assert nothing, and format does no more than mark files
// (uri, without x-cog-url) and secrets (password). Of oneOf the first member that fits is taken, as
// of anyOf: the model itself decides so. allOf and $ref say what they refer to together with what
// stands beside them. Our own words are x-cog-secret, x-cog-url for an address that is no file, and
// x-cog-any for a value of any type. Where a component says less than the model does, as Cog has a
// plain object for Dict[str, int] and for Any, the top-level x-cog-exact has the schema to check
// under the component's name.
package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
)

// Document is a model's OpenAPI document.
type Document struct {
	text      json.RawMessage
	predict   *Input
	train     *Input
	streaming bool
}

// Input is the schema of the input of one method.
type Input struct {
	root     *node
	maxFiles int // 0: no limit
}

// LimitFiles bounds how many files an input may have; 0: no limit. It must come before the first
// Check.
func (d *Document) LimitFiles(count int) {
	d.predict.maxFiles = count
	if d.train != nil {
		d.train.maxFiles = count
	}
}

// Parse reads an OpenAPI document. It fails when the document has no schema for the input of
// predictions, or one that cannot be checked: a $ref that leads nowhere or to itself, an unknown
// type or keyword, a pattern that does not compile.
func Parse(doc []byte) (*Document, error) {
	var parsed struct {
		Paths map[string]struct {
			Post struct {
				Streaming bool `json:"x-cog-streaming"`
			} `json:"post"`
		} `json:"paths"`
		Components struct {
			Schemas map[string]json.RawMessage `json:"schemas"`
		} `json:"components"`
		Exact map[string]json.RawMessage `json:"x-cog-exact"`
	}
	if err := json.Unmarshal(doc, &parsed); err != nil {
		return nil, fmt.Errorf("OpenAPI document: %w", err)
	}
	if _, ok := parsed.Components.Schemas["Input"]; !ok {
		return nil, errors.New("OpenAPI document: components.schemas.Input is missing")
	}
	maps.Copy(parsed.Components.Schemas, parsed.Exact)
	d := &Document{text: doc, streaming: parsed.Paths["/predictions"].Post.Streaming}
	var err error
	if d.predict, err = newInput(parsed.Components.Schemas, "Input"); err != nil {
		return nil, err
	}
	d.train, err = newInput(parsed.Components.Schemas, "TrainingInput")
	return d, err
}

// newInput compiles the component with that name; nil when there is none.
func newInput(components map[string]json.RawMessage, name string) (*Input, error) {
	if _, ok := components[name]; !ok {
		return nil, nil
	}
	c := compiler{components: components, open: map[string]bool{}}
	root, err := c.component(name)
	if err != nil {
		return nil, fmt.Errorf("OpenAPI document: %w", err)
	}
	if root.kind != objectType {
		return nil, fmt.Errorf("OpenAPI document: components.schemas.%s must have the type object", name)
	}
	// A client may send more than the model declares; the model's method would refuse it. Only a
	// model that takes any keyword says so with additionalProperties.
	root.dropUnknown = root.additional == nil && !root.open
	return &Input{root: root}, nil
}

// Has reports whether there is an input of that name.
func (i *Input) Has(name string) bool { return i.root.properties[name] != nil }

// JSON returns the document as it was parsed.
func (d *Document) JSON() []byte { return d.text }

// Predict returns the schema of the input of predictions.
func (d *Document) Predict() *Input { return d.predict }

// Train returns the schema of the input of trainings, nil when the model cannot be trained.
func (d *Document) Train() *Input { return d.train }

// Streaming reports whether the model opted in to server-sent events.
func (d *Document) Streaming() bool { return d.streaming }
