package schema

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
)

// modelsOwn is what a document says of the model alone.
type modelsOwn struct {
	Schemas, Exact map[string]any
	Streaming      bool
}

// digest returns the hash of the model's interface: of the inputs and outputs of its methods, and
// of all that they refer to. The order of keys and the white space do not count.
func (c contents) digest() string {
	own := modelsOwn{map[string]any{}, map[string]any{}, c.streaming()}
	for _, name := range []string{PredictInput, PredictOutput, TrainInput, TrainOutput} {
		c.collect(name, own)
	}
	text, _ := json.Marshal(own) // each map in the order of its keys
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// collect adds the component with that name, if there is one, and those that it refers to.
func (c contents) collect(name string, own modelsOwn) {
	add := func(from Components, to map[string]any) {
		text, there := from[name]
		if _, known := to[name]; known || !there {
			return
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber() // 1 and 1.0 are two defaults
		var schema any
		_ = decoder.Decode(&schema) // it is a part of what has been parsed
		to[name] = schema
		c.collectReferred(schema, own)
	}
	add(c.Components.Schemas, own.Schemas)
	add(c.Exact, own.Exact)
}

// collectReferred adds the components that a value refers to.
func (c contents) collectReferred(value any, own modelsOwn) {
	switch value := value.(type) {
	case map[string]any:
		for word, part := range value {
			if ref, ok := part.(string); ok && word == "$ref" {
				name, _ := strings.CutPrefix(ref, componentPrefix)
				c.collect(name, own)
			}
			c.collectReferred(part, own)
		}
	case []any:
		for _, part := range value {
			c.collectReferred(part, own)
		}
	}
}
