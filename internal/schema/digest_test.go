package schema_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/coggo/coggo/internal/schema"
)

// withInterface is a document with the properties of Input, a component that they may refer to, the
// exact schema of the input, and whatever else.
func withInterface(properties, referred, exact, more string) string {
	return fmt.Sprintf(`{"components": {"schemas": {
		"Input": {"type": "object", "properties": {%s}},
		"Size": %s, "Status": {"type": "string"}}},
		"x-cog-exact": {"Input": %s}%s}`, properties, referred, exact, more)
}

func TestTheHashOfAnInterfaceChangesWithTheModelAndNothingElse(t *testing.T) {
	const (
		asked = `"size": {"$ref": "#/components/schemas/Size"}`
		steps = `"steps": {"type": "integer", "default": 1}, ` + asked
		size  = `{"type": "object", "properties": {"wide": {"type": "integer"}}}`
		exact = `{"type": "object", "properties": {"d": {"type": "object"}}}`
	)
	hash := func(document string) string {
		t.Helper()
		d, err := schema.Parse([]byte(document))
		if err != nil {
			t.Fatal(err)
		}
		return d.Interface()
	}
	first := hash(withInterface(steps, size, exact, ""))
	if len(first) != 64 {
		t.Errorf("the hash is %q", first)
	}
	for what, document := range map[string]string{
		"another path":  withInterface(steps, size, exact, `, "paths": {"/queue": {"get": {}}}`),
		"another title": withInterface(steps, size, exact, `, "info": {"title": "x"}`),
		"a component that is not the model's": strings.Replace(
			withInterface(steps, size, exact, ""), `"Status"`, `"Queue"`, 1),
		"order, space": withInterface(asked+`,"steps":{"default":1,"type":"integer"}`, size, exact, ""),
	} {
		if hash(document) != first {
			t.Errorf("%s changes the hash", what)
		}
	}
	seen := map[string]string{first: "the first one"}
	for what, document := range map[string]string{
		"a default":            withInterface(`"steps": {"type": "integer", "default": 2}, `+asked, size, exact, ""),
		"1.0 for 1":            withInterface(`"steps": {"type": "integer", "default": 1.0}, `+asked, size, exact, ""),
		"a referred component": withInterface(steps, `{"type": "object"}`, exact, ""),
		"the exact schema":     withInterface(steps, size, `{"type": "object"}`, ""),
		"streaming": withInterface(steps, size, exact,
			`, "paths": {"/predictions": {"post": {"x-cog-streaming": true}}}`),
	} {
		got := hash(document)
		if before := seen[got]; before != "" {
			t.Errorf("%s has the hash of %s", what, before)
		}
		seen[got] = what
	}
}

func TestTheIdOfAVersionIsItsNameOrAHash(t *testing.T) {
	d, err := schema.Parse([]byte(withInterface("", `{"type": "object"}`, `{"type": "object"}`, "")))
	if err != nil {
		t.Fatal(err)
	}
	id := func(name string) string { return schema.Model{Name: name, Document: d}.Version() }
	if id("acme/one:2") != "2" {
		t.Errorf("the id is %q", id("acme/one:2"))
	}
	if one, two := id("acme/one"), id("acme/two"); one == two || len(one) != 64 {
		t.Errorf("the ids are %q and %q", one, two)
	}
}
