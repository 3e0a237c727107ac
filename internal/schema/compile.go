package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The JSON types of a schema; anyType is a schema without one.
const (
	anyType     = ""
	stringType  = "string"
	integerType = "integer"
	numberType  = "number"
	booleanType = "boolean"
	arrayType   = "array"
	objectType  = "object"
)

// node is a compiled schema. References are resolved, so nodes form a tree.
type node struct {
	kind     string
	nullable bool
	secret   bool // the value itself is a secret
	hides    bool // a secret is here or below: the value must not be shown
	file     bool // the value is the URL of a file

	minimum, maximum     *bound
	minLength, maxLength *int
	minItems, maxItems   *int
	pattern              *pattern
	enum                 *choices
	anyOf                []*node
	items                *node

	properties  map[string]*node
	required    []string
	additional  *node // for keys that properties does not name; nil: no schema for them
	open        bool  // additionalProperties is true
	closed      bool  // additionalProperties is false
	dropUnknown bool
}

// keywords is a schema as it stands in the document.
type keywords struct {
	Ref                  string              `json:"$ref"`
	AllOf                []keywords          `json:"allOf"`
	AnyOf                []keywords          `json:"anyOf"`
	Type                 string              `json:"type"`
	Format               string              `json:"format"`
	Nullable             bool                `json:"nullable"`
	Secret               bool                `json:"x-cog-secret"`
	Any                  bool                `json:"x-cog-any"`
	Enum                 []json.RawMessage   `json:"enum"`
	Minimum              json.Number         `json:"minimum"`
	Maximum              json.Number         `json:"maximum"`
	MinLength            *int                `json:"minLength"`
	MaxLength            *int                `json:"maxLength"`
	MinItems             *int                `json:"minItems"`
	MaxItems             *int                `json:"maxItems"`
	Pattern              *string             `json:"pattern"`
	Items                *keywords           `json:"items"`
	Properties           map[string]keywords `json:"properties"`
	Required             []string            `json:"required"`
	AdditionalProperties json.RawMessage     `json:"additionalProperties"`
}

// compiler turns keywords into nodes. open holds the components that are being compiled, to find a circle.
type compiler struct {
	components map[string]json.RawMessage
	open       map[string]bool
}

func (c *compiler) component(name string) (*node, error) {
	source, ok := c.components[name]
	if !ok {
		return nil, fmt.Errorf("components.schemas.%s is missing", name)
	}
	if c.open[name] {
		return nil, fmt.Errorf("components.schemas.%s refers to itself", name)
	}
	c.open[name] = true
	defer delete(c.open, name)
	var k keywords
	if err := json.Unmarshal(source, &k); err != nil {
		return nil, fmt.Errorf("components.schemas.%s: %w", name, err)
	}
	n, err := c.compile(k)
	if err != nil {
		return nil, fmt.Errorf("components.schemas.%s: %w", name, err)
	}
	return n, nil
}

func (c *compiler) compile(k keywords) (*node, error) {
	n, err := c.base(k)
	if err != nil {
		return nil, err
	}
	n.nullable = n.nullable || k.Nullable
	n.hides = n.secret || n.belowHides()
	return n, nil
}

// base compiles what k refers to, or k itself when it refers to nothing.
func (c *compiler) base(k keywords) (*node, error) {
	switch {
	case k.Ref != "":
		name, ok := strings.CutPrefix(k.Ref, "#/components/schemas/")
		if !ok {
			return nil, fmt.Errorf("$ref %q does not name a component", k.Ref)
		}
		return c.component(name)
	case len(k.AllOf) == 1:
		return c.compile(k.AllOf[0])
	case len(k.AllOf) > 1:
		return nil, errors.New("allOf with more than one schema is not supported")
	}
	n := &node{kind: k.Type, secret: k.Secret || k.Format == "password"}
	if k.Any {
		n.kind = anyType
	}
	if !slices.Contains([]string{anyType, stringType, integerType, numberType, booleanType, arrayType, objectType}, n.kind) {
		return nil, fmt.Errorf("type %q is not supported", n.kind)
	}
	n.file = n.kind == stringType && k.Format == "uri"
	return n, errors.Join(c.scalar(n, k), c.nested(n, k))
}

// scalar compiles the keywords about a single value.
func (c *compiler) scalar(n *node, k keywords) (err error) {
	n.minLength, n.maxLength, n.minItems, n.maxItems = k.MinLength, k.MaxLength, k.MinItems, k.MaxItems
	if k.Minimum != "" {
		if n.minimum, err = newBound(k.Minimum.String()); err != nil {
			return fmt.Errorf("minimum: %w", err)
		}
	}
	if k.Maximum != "" {
		if n.maximum, err = newBound(k.Maximum.String()); err != nil {
			return fmt.Errorf("maximum: %w", err)
		}
	}
	if k.Pattern != nil {
		if n.pattern, err = newPattern(*k.Pattern); err != nil {
			return err
		}
	}
	if k.Enum != nil {
		n.enum, err = newChoices(k.Enum)
	}
	return err
}

// nested compiles the schemas inside k.
func (c *compiler) nested(n *node, k keywords) (err error) {
	if k.Items != nil {
		if n.items, err = c.compile(*k.Items); err != nil {
			return fmt.Errorf("items: %w", err)
		}
	}
	for i, member := range k.AnyOf {
		compiled, err := c.compile(member)
		if err != nil {
			return fmt.Errorf("anyOf %d: %w", i, err)
		}
		n.anyOf = append(n.anyOf, compiled)
	}
	n.required = k.Required
	n.properties = make(map[string]*node, len(k.Properties))
	for _, name := range slices.Sorted(maps.Keys(k.Properties)) {
		if n.properties[name], err = c.compile(k.Properties[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return c.additional(n, k.AdditionalProperties)
}

// additional compiles additionalProperties: true, false or a schema.
func (c *compiler) additional(n *node, source json.RawMessage) error {
	switch string(source) {
	case "", "null":
		return nil
	case "true":
		n.open = true
		return nil
	case "false":
		n.closed = true
		return nil
	}
	var k keywords
	err := json.Unmarshal(source, &k)
	if err == nil {
		n.additional, err = c.compile(k)
	}
	if err != nil {
		return fmt.Errorf("additionalProperties: %w", err)
	}
	return nil
}

// belowHides reports whether a schema inside n is about a secret.
func (n *node) belowHides() bool {
	inside := slices.Concat(n.anyOf, slices.Collect(maps.Values(n.properties)), []*node{n.items, n.additional})
	return slices.ContainsFunc(inside, func(m *node) bool { return m != nil && m.hides })
}
