// Package schema checks inputs. It reads the OpenAPI document of a model and checks inputs against
// it. It also coerces strings to numbers and booleans if that loses nothing.
//
// Checking and coercing are one walk over the raw text. A JSON Schema validator works on decoded
// values: it needs a coercing walk before it, decodes every string, and does not tell 1 from 1.0.
// On one machine the walk took 1.3 µs and 7 allocations for a small input, and 7 ms without a copy
// for a data URL of 16 MiB; jsonschema/v6, without any coercion, took 6.5 µs and 57 allocations,
// and 180 ms and 100 MB.
//
// The vocabulary is that of JSON Schema and OpenAPI 3.0 as pydantic 1 and 2 write it:
//
//   - Parse fails for a keyword that asserts something and is not checked. Words that are not in
//     the vocabulary assert nothing.
//   - format only marks files (uri, without x-cog-url) and secrets (password).
//   - Of oneOf, as of anyOf, the first member that fits is chosen, because the model decides so.
//   - allOf and $ref are merged with the keywords next to them.
//   - Our own words are x-cog-secret, x-cog-url for a URL that is not a file, and x-cog-any for a
//     value of any type.
//   - The top-level x-cog-exact has, under the name of a component, the schema to check in its
//     place. It is there if the component says less than the model, because Cog has a plain object
//     for Dict[str, int] and for Any.
package schema

import (
	"encoding/json"
	"fmt"
)

// Document is a model's OpenAPI document.
type Document struct {
	text      json.RawMessage
	predict   *Input
	train     *Input
	streaming bool
	digest    string
}

// Input is the schema of the input of one method.
type Input struct {
	root     *node
	maxFiles int // 0: no limit
}

// LimitFiles bounds how many files an input may have; 0: no limit. It must be called before the
// first Check.
func (d *Document) LimitFiles(count int) {
	d.predict.maxFiles = count
	if d.train != nil {
		d.train.maxFiles = count
	}
}

// Parse reads an OpenAPI document. It fails if the document doesn't have a schema for the input of
// predictions, or has one that cannot be checked: a $ref to a missing component or to itself, an
// unknown type, an unchecked keyword, a pattern that does not compile.
func Parse(doc []byte) (*Document, error) {
	var parsed contents
	if err := json.Unmarshal(doc, &parsed); err != nil {
		return nil, fmt.Errorf("OpenAPI document: %w", err)
	}
	if _, ok := parsed.Components.Schemas[PredictInput]; !ok {
		return nil, fmt.Errorf("OpenAPI document: components.schemas.%s is missing", PredictInput)
	}
	d := &Document{text: doc, streaming: parsed.streaming(), digest: parsed.digest()}
	var err error
	components := parsed.checked()
	if d.predict, err = newInput(components, PredictInput); err != nil {
		return nil, err
	}
	d.train, err = newInput(components, TrainInput)
	return d, err
}

// newInput compiles the component with that name; it returns nil if there isn't one.
func newInput(components Components, name string) (*Input, error) {
	if _, ok := components[name]; !ok {
		return nil, nil
	}
	c := compiler{components: components, open: map[string]bool{}}
	root, err := c.component(name)
	if err != nil {
		return nil, fmt.Errorf("OpenAPI document: %w", err)
	}
	if root.kind != objectType {
		return nil, fmt.Errorf(
			"OpenAPI document: components.schemas.%s must have the type object", name)
	}
	// A client may send keys that the model doesn't declare. They are dropped, because the model's
	// method would refuse them. A model that accepts any keyword says so with additionalProperties.
	root.dropUnknown = root.additional == nil && !root.open
	return &Input{root: root}, nil
}

// Has reports whether there is an input of that name.
func (i *Input) Has(name string) bool { return i.root.properties[name] != nil }

// JSON returns the document as it was parsed.
func (d *Document) JSON() []byte { return d.text }

// Interface returns a hash of what the model takes and returns: a SHA-256 in hexadecimal. The paths
// and components that the server adds to every document are no part of it, so it stays the same
// when they change.
func (d *Document) Interface() string { return d.digest }

// Predict returns the schema of the input of predictions.
func (d *Document) Predict() *Input { return d.predict }

// Train returns the schema of the input of trainings, nil if the model cannot be trained.
func (d *Document) Train() *Input { return d.train }

// Streaming reports whether the model opted in to server-sent events.
func (d *Document) Streaming() bool { return d.streaming }
