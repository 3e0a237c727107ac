package schema_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/coggo/coggo/internal/schema"
)

// inputOf returns the schema of an input with these properties, given as the inside of a JSON
// object.
func inputOf(t testing.TB, properties string, more ...string) *schema.Input {
	t.Helper()
	doc := fmt.Sprintf(`{"paths": {"/predictions": {"post": {}}}, "components": {"schemas": {
		"Shade": {"title": "Shade", "type": "string", "enum": ["dark", "light"]},
		"Size": {"title": "Size", "type": "integer", "enum": [1, 2, 30]},
		"Input": {"title": "Input", "type": "object", "properties": {%s}%s}}}}`, properties, strings.Join(more, ""))
	d, err := schema.Parse([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return d.Predict()
}

// accept checks raw and returns the result; a refusal ends the test.
func accept(t testing.TB, in *schema.Input, raw string) schema.Checked {
	t.Helper()
	checked, problems := in.Check(json.RawMessage(raw))
	if problems != nil {
		t.Fatalf("Check(%s) refused: %v", raw, problems)
	}
	return checked
}

// refuse checks raw and returns the problems; an acceptance ends the test.
func refuse(t testing.TB, in *schema.Input, raw string) []schema.Problem {
	t.Helper()
	checked, problems := in.Check(json.RawMessage(raw))
	if problems == nil {
		t.Fatalf("Check(%.200s) accepted: %.200s", raw, checked.Input)
	}
	return problems
}

func TestTheDocumentIsServedAsTheRunnerWroteIt(t *testing.T) {
	doc := []byte(`{ "openapi":"3.0.2", "components": {"schemas": {"Input": {"type": "object"}}} }`)
	d, err := schema.Parse(doc)
	if err != nil {
		t.Fatal(err)
	}
	if string(d.JSON()) != string(doc) {
		t.Errorf("JSON() = %s", d.JSON())
	}
	if d.Streaming() || d.Train() != nil {
		t.Errorf("Streaming() = %v, Train() = %v; want false, nil", d.Streaming(), d.Train())
	}
}

func TestTrainingAndStreamingAreReadFromTheDocument(t *testing.T) {
	d, err := schema.Parse([]byte(`{"paths": {"/predictions": {"post": {"x-cog-streaming": true}}}, "components": {"schemas": {
		"Input": {"type": "object"},
		"TrainingInput": {"type": "object", "properties": {"steps": {"type": "integer"}}, "required": ["steps"]}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if !d.Streaming() {
		t.Error("Streaming() = false")
	}
	if got := string(accept(t, d.Train(), `{"steps": "3"}`).Input); got != `{"steps": 3}` {
		t.Errorf("training input = %s", got)
	}
	accept(t, d.Predict(), `{}`)
}

func TestTheExactSchemaIsCheckedInsteadOfALooserComponent(t *testing.T) {
	d, err := schema.Parse([]byte(`{"components": {"schemas": {"Input": {"type": "object", "properties": {"d": {"type": "object"}}}}},
		"x-cog-exact": {"Input": {"type": "object", "properties": {"d": {"type": "object", "additionalProperties": {"type": "integer"}}}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(accept(t, d.Predict(), `{"d": {"a": "1"}}`).Input); got != `{"d": {"a": 1}}` {
		t.Errorf("input = %s", got)
	}
	refuse(t, d.Predict(), `{"d": {"a": "x"}}`)
}

func TestReadersGetTheComponentsOfADocument(t *testing.T) {
	d, err := schema.Parse([]byte(`{"info": {"description": "It greets."}, "components": {"schemas": {
		"Input": {"type": "object"}, "Output": {"type": "string"}}},
		"x-cog-exact": {"Input": {"type": "object", "required": ["d"]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Description(); got != "It greets." {
		t.Errorf("Description() = %q", got)
	}
	type names struct{ Required []string }
	for _, row := range []struct {
		name       string
		components schema.Components
		required   []string
	}{{"Components", d.Components(), nil}, {"Exact", d.Exact(), []string{"d"}}} {
		var input names
		if err := row.components.Decode(schema.PredictInput, &input); err != nil || !slices.Equal(input.Required, row.required) {
			t.Errorf("%s: %v, %v", row.name, input, err)
		}
		if got := string(row.components.Refer("#/components/schemas/Output")); got != `{"type": "string"}` {
			t.Errorf("%s: Refer = %s", row.name, got)
		}
	}
	if got := d.Components().Refer("other.json#/Output"); got != nil {
		t.Errorf("Refer to another document = %s", got)
	}
	for name, reason := range map[string]string{schema.TrainInput: "TrainingInput is missing", schema.PredictOutput: "cannot unmarshal"} {
		if err := d.Components().Decode(name, new([]string)); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("Decode %s: %v; want %q", name, err, reason)
		}
	}
}

func TestADocumentThatCannotBeCheckedIsRefusedWithTheReason(t *testing.T) {
	for _, row := range []struct{ name, schemas, reason string }{
		{"no input", `{}`, "components.schemas.Input is missing"},
		{"input is no object", `{"Input": {"type": "string"}}`, "must have the type object"},
		{"dangling reference", `{"Input": {"type": "object", "properties": {"a": {"$ref": "#/components/schemas/B"}}}}`, "a: components.schemas.B is missing"},
		{"foreign reference", `{"Input": {"type": "object", "properties": {"a": {"$ref": "other.json"}}}}`, "does not name a component"},
		{"circle", `{"Input": {"type": "object", "properties": {"a": {"$ref": "#/components/schemas/Input"}}}}`, "refers to itself"},
		{"unknown type", `{"Input": {"type": "object", "properties": {"a": {"type": "set"}}}}`, `type "set" is not supported`},
		{"broken pattern", `{"Input": {"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}}}`, "pattern"},
		{"contradicting schemas in allOf", `{"Input": {"type": "object", "properties": {"a": {"allOf": [{"minLength": 1}, {"minLength": 2}]}}}}`, "allOf"},
		{"broken extras", `{"Input": {"type": "object", "additionalProperties": {"type": 3}}}`, "additionalProperties"},
		{"broken training", `{"Input": {"type": "object"}, "TrainingInput": {"type": "array"}}`, "TrainingInput"},
		{"huge minimum", `{"Input": {"type": "object", "properties": {"a": {"type": "number", "minimum": 1e999}}}}`, "minimum"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := schema.Parse([]byte(`{"components": {"schemas": ` + row.schemas + `}}`))
			if err == nil || !strings.Contains(err.Error(), row.reason) {
				t.Errorf("Parse: %v; want %q", err, row.reason)
			}
		})
	}
	if _, err := schema.Parse([]byte("no JSON")); err == nil {
		t.Error("Parse of something else than JSON succeeded")
	}
}
