package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// words is a schema of the document, by keyword.
type words map[string]json.RawMessage

// unchecked are the keywords of JSON Schema that assert something which the walk does not check. A
// model with one of them is refused. Words outside of the vocabulary are for people and forms only.
var unchecked = []string{
	"if", "then", "else", "dependentSchemas", "dependencies", "unevaluatedItems",
	"unevaluatedProperties", "$dynamicRef", "$recursiveRef",
}

// annotations are keywords that may differ if a schema and one that it refers to both have them.
var annotations = []string{
	"title", "description", "default", "example", "examples", "deprecated", "readOnly", "$comment",
	"$defs", "definitions", "$id", "$schema", "discriminator",
}

// flags are keywords that hold if any of the merged schemas has them.
var flags = []string{"nullable", "writeOnly", "x-cog-secret", "x-cog-any", "x-cog-url"}

// read merges a schema with all schemas that it refers to. It also returns the components among
// them, which stay open until the caller closes them.
func (c *compiler) read(source json.RawMessage) (w words, opened []string, err error) {
	if err := json.Unmarshal(source, &w); err != nil {
		return nil, nil, err
	}
	for name := range w {
		if slices.Contains(unchecked, name) {
			return nil, nil, fmt.Errorf("the server does not check the keyword %q: "+
				"take it out of the schema, and let a validator of the model check it", name)
		}
	}
	parts, opened, err := c.parts(w)
	if err != nil {
		return nil, opened, err
	}
	delete(w, "$ref")
	delete(w, "allOf")
	for _, part := range parts {
		if err := w.merge(part); err != nil {
			return nil, opened, err
		}
	}
	return w, opened, nil
}

// parts returns the schemas that w names in $ref and allOf.
func (c *compiler) parts(w words) (parts []words, opened []string, err error) {
	var members []json.RawMessage
	if all, ok := w["allOf"]; ok {
		if err := json.Unmarshal(all, &members); err != nil {
			return nil, nil, fmt.Errorf("allOf: %w", err)
		}
	}
	if ref, ok := w["$ref"]; ok {
		name, source, err := c.referred(ref)
		if err != nil {
			return nil, nil, err
		}
		c.open[name] = true
		opened = append(opened, name)
		members = append(members, source)
	}
	for _, member := range members {
		part, more, err := c.read(member)
		opened = append(opened, more...)
		if err != nil {
			return nil, opened, err
		}
		parts = append(parts, part)
	}
	return parts, opened, nil
}

// referred returns the component that a $ref names.
func (c *compiler) referred(ref json.RawMessage) (name string, source json.RawMessage, err error) {
	if err := json.Unmarshal(ref, &name); err != nil {
		return "", nil, fmt.Errorf("$ref: %w", err)
	}
	name, ok := strings.CutPrefix(name, componentPrefix)
	if !ok {
		return "", nil, fmt.Errorf("$ref %s does not name a component", ref)
	}
	source, ok = c.components[name]
	switch {
	case !ok:
		return "", nil, fmt.Errorf("components.schemas.%s is missing", name)
	case c.open[name]:
		return "", nil, fmt.Errorf("components.schemas.%s refers to itself", name)
	}
	return name, source, nil
}

// merge adds other to w. It fails if a keyword would have two values.
func (w words) merge(other words) error {
	for _, name := range slices.Sorted(maps.Keys(other)) {
		said, twice := w[name]
		switch {
		case !twice:
			w[name] = other[name]
		case slices.Contains(annotations, name), bytes.Equal(said, other[name]),
			strings.HasPrefix(name, "x-") && !slices.Contains(flags, name):
		case name == "format": // only that of files and secrets matters
			if said := string(other[name]); said == `"uri"` || said == `"password"` {
				w[name] = other[name]
			}
		case slices.Contains(flags, name):
			if string(said) != "true" {
				w[name] = other[name]
			}
		case name == "properties" || name == "patternProperties":
			if err := w.mergeNamed(name, other[name]); err != nil {
				return err
			}
		case name == "required":
			var mine, theirs []string
			err := errors.Join(json.Unmarshal(said, &mine), json.Unmarshal(other[name], &theirs))
			if err != nil {
				return fmt.Errorf("required: %w", err)
			}
			w[name], _ = json.Marshal(append(mine, theirs...))
		default:
			return fmt.Errorf("allOf, anyOf or $ref says %q next to another %q, "+
				"which the server does not check: write one schema that says both", name, name)
		}
	}
	return nil
}

func (w words) mergeNamed(name string, other json.RawMessage) error {
	var mine, theirs words
	err := errors.Join(json.Unmarshal(w[name], &mine), json.Unmarshal(other, &theirs))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for key, schema := range theirs {
		if said, twice := mine[key]; twice && !bytes.Equal(said, schema) {
			return fmt.Errorf("%s has two schemas: write one that says both", key)
		}
		mine[key] = schema
	}
	w[name], _ = json.Marshal(mine)
	return nil
}

// spread returns the keywords of w next to its union, which apply to each member of it.
func (w words) spread() words {
	rest := words{}
	for name, value := range w {
		switch {
		case name == "anyOf", name == "oneOf", !known[name],
			slices.Contains(annotations, name), slices.Contains(flags, name):
		default:
			rest[name] = value
		}
	}
	return rest
}
