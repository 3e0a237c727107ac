package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// The JSON types of a schema; anyType means a schema without a type.
const (
	anyType     = ""
	nullType    = "null"
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
	never    bool // no value fits
	secret   bool // the value itself is a secret
	hides    bool // a secret is here or below: the value must not be shown
	file     bool // the value is the URL of a file
	asserts  bool // has keywords about values, but does not name their type

	limits               []limit
	multipleOf           *bound
	minLength, maxLength *int
	minItems, maxItems   *int
	minKeys, maxKeys     *int
	pattern              *pattern
	enum                 *choices
	anyOf                []*node
	tag                  string // the property that selects a member of anyOf
	not                  *node

	prefix   []*node // of the first items
	items    *node   // of the others
	unique   bool
	contains *node
	minHits  int // of the items, so many must fit contains, and at most maxHits
	maxHits  *int

	properties  map[string]*node
	patterns    []keyed
	names       *node // of the keys themselves
	required    []string
	needs       map[string][]string // dependentRequired: the keys that a key requires
	additional  *node               // of keys that properties and patterns don't name; may be nil
	open        bool                // additionalProperties is true
	closed      bool                // additionalProperties is false
	dropUnknown bool
}

// keyed is the schema of the values whose keys match a pattern.
type keyed struct {
	key   *pattern
	value *node
}

// keywords are the keywords of JSON Schema and OpenAPI from which a node is compiled.
type keywords struct {
	Type                 json.RawMessage            `json:"type"`
	Format               string                     `json:"format"`
	Nullable             bool                       `json:"nullable"`
	WriteOnly            bool                       `json:"writeOnly"`
	Secret               bool                       `json:"x-cog-secret"`
	Any                  bool                       `json:"x-cog-any"`
	URL                  bool                       `json:"x-cog-url"`
	Enum                 []json.RawMessage          `json:"enum"`
	Const                json.RawMessage            `json:"const"`
	Minimum              json.Number                `json:"minimum"`
	Maximum              json.Number                `json:"maximum"`
	ExclusiveMinimum     json.Number                `json:"exclusiveMinimum"`
	ExclusiveMaximum     json.Number                `json:"exclusiveMaximum"`
	MultipleOf           json.Number                `json:"multipleOf"`
	MinLength            *int                       `json:"minLength"`
	MaxLength            *int                       `json:"maxLength"`
	Pattern              *string                    `json:"pattern"`
	ContentSchema        json.RawMessage            `json:"contentSchema"`
	MinItems             *int                       `json:"minItems"`
	MaxItems             *int                       `json:"maxItems"`
	UniqueItems          bool                       `json:"uniqueItems"`
	Items                json.RawMessage            `json:"items"`
	PrefixItems          []json.RawMessage          `json:"prefixItems"`
	AdditionalItems      json.RawMessage            `json:"additionalItems"`
	Contains             json.RawMessage            `json:"contains"`
	MinContains          *int                       `json:"minContains"`
	MaxContains          *int                       `json:"maxContains"`
	Properties           map[string]json.RawMessage `json:"properties"`
	PatternProperties    map[string]json.RawMessage `json:"patternProperties"`
	PropertyNames        json.RawMessage            `json:"propertyNames"`
	Required             []string                   `json:"required"`
	DependentRequired    map[string][]string        `json:"dependentRequired"`
	MinProperties        *int                       `json:"minProperties"`
	MaxProperties        *int                       `json:"maxProperties"`
	AdditionalProperties json.RawMessage            `json:"additionalProperties"`
	AnyOf                []json.RawMessage          `json:"anyOf"`
	OneOf                []json.RawMessage          `json:"oneOf"`
	Not                  json.RawMessage            `json:"not"`
	Discriminator        struct {
		PropertyName string `json:"propertyName"`
	} `json:"discriminator"`
}

// known has the names of the fields of keywords.
var known = func() map[string]bool {
	names := map[string]bool{}
	for field := range reflect.TypeFor[keywords]().Fields() {
		names[field.Tag.Get("json")] = true
	}
	return names
}()

// compiler turns schemas into nodes. open has the components that are being compiled, so that it
// finds a cycle.
type compiler struct {
	components Components
	open       map[string]bool
}

func (c *compiler) component(name string) (*node, error) {
	ref, _ := json.Marshal(map[string]string{"$ref": componentPrefix + name})
	n, err := c.compile(ref)
	if err != nil {
		return nil, fmt.Errorf("components.schemas.%s: %w", name, err)
	}
	return n, nil
}

func (c *compiler) compile(source json.RawMessage) (*node, error) {
	switch string(source) {
	case "true":
		return &node{}, nil
	case "false":
		return &node{never: true}, nil
	}
	w, opened, err := c.read(source)
	defer func() {
		for _, name := range opened {
			delete(c.open, name)
		}
	}()
	if err != nil {
		return nil, err
	}
	k, err := w.keywords()
	if err != nil {
		return nil, err
	}
	n := &node{nullable: k.Nullable, secret: k.Secret || k.WriteOnly || k.Format == "password"}
	if k.AnyOf != nil || k.OneOf != nil {
		err = c.union(n, w, k)
	} else {
		err = errors.Join(n.setType(k), n.scalar(k),
			c.strings(n, k), c.arrays(n, k), c.objects(n, k), c.not(n, k))
	}
	if err != nil {
		return nil, err
	}
	n.hides = n.secret || slices.ContainsFunc(n.inside(), func(m *node) bool { return m.hides })
	return n, nil
}

// keywords returns the keywords in w that a node is compiled from.
func (w words) keywords() (k keywords, err error) {
	own := words{}
	for name, value := range w {
		if known[name] {
			own[name] = value
		}
	}
	text, err := json.Marshal(own)
	if err == nil {
		err = json.Unmarshal(text, &k)
	}
	return k, err
}

// union compiles anyOf or oneOf. Of either the first member that fits is chosen, because the model
// decides so too. The keywords next to it apply to each member.
func (c *compiler) union(n *node, w words, k keywords) error {
	if k.AnyOf != nil && k.OneOf != nil {
		return errors.New("the server does not check anyOf together with oneOf: write one of them")
	}
	n.tag = k.Discriminator.PropertyName
	rest, err := json.Marshal(w.spread())
	if err != nil {
		return err
	}
	n.anyOf = []*node{} // a union without members is still a union: no value fits
	for i, member := range append(k.AnyOf, k.OneOf...) {
		if string(rest) != "{}" {
			member, _ = json.Marshal(map[string]any{"allOf": []json.RawMessage{member, rest}})
		}
		compiled, err := c.compile(member)
		if err != nil {
			return fmt.Errorf("member %d of the union: %w", i, err)
		}
		n.anyOf = append(n.anyOf, compiled)
	}
	return nil
}

// setType sets the fields that depend on the type alone.
func (n *node) setType(k keywords) error {
	var several []string
	switch err := json.Unmarshal(k.Type, &n.kind); {
	case k.Type == nil:
	case err == nil && n.kind == anyType:
		return errors.New("type is empty")
	case err == nil:
	case json.Unmarshal(k.Type, &several) == nil:
		some := slices.DeleteFunc(several, func(kind string) bool { return kind == nullType })
		if len(some) != 1 {
			return fmt.Errorf("type %s is not supported: use anyOf", k.Type)
		}
		n.kind, n.nullable = some[0], n.nullable || len(some) < len(several)
	default:
		return fmt.Errorf("type: %w", err)
	}
	if k.Any {
		n.kind = anyType
	}
	all := []string{
		anyType, nullType, stringType, integerType, numberType, booleanType, arrayType, objectType,
	}
	if !slices.Contains(all, n.kind) {
		return fmt.Errorf("type %q is not supported", n.kind)
	}
	n.file = n.kind == stringType && k.Format == "uri" && !k.URL
	n.asserts = n.kind == anyType && !k.Any
	return nil
}

// scalar compiles the keywords about numbers, and those about values of any type.
func (n *node) scalar(k keywords) (err error) {
	for _, l := range []struct {
		keyword string
		text    json.Number
		limit
	}{
		{"minimum", k.Minimum, limit{least: true}},
		{"maximum", k.Maximum, limit{}},
		{"exclusiveMinimum", k.ExclusiveMinimum, limit{least: true, strict: true}},
		{"exclusiveMaximum", k.ExclusiveMaximum, limit{strict: true}},
	} {
		if l.text == "" {
			continue
		}
		if l.bound, err = newBound(l.text.String()); err != nil {
			return fmt.Errorf("%s: %w", l.keyword, err)
		}
		n.limits = append(n.limits, l.limit)
	}
	if k.MultipleOf != "" {
		n.multipleOf, err = newBound(k.MultipleOf.String())
		if err != nil || n.multipleOf.rat.Sign() <= 0 {
			return fmt.Errorf("multipleOf: %s is not a finite number above 0", k.MultipleOf)
		}
	}
	switch {
	case k.Const != nil:
		n.enum, err = newChoices([]json.RawMessage{k.Const})
	case k.Enum != nil:
		n.enum, err = newChoices(k.Enum)
	}
	return err
}

func (c *compiler) strings(n *node, k keywords) (err error) {
	n.minLength, n.maxLength = k.MinLength, k.MaxLength
	if k.Pattern != nil {
		if n.pattern, err = newPattern(*k.Pattern); err != nil {
			return err
		}
	}
	content, err := c.optional("contentSchema", k.ContentSchema)
	if err != nil || content == nil {
		return err
	}
	if content.holdsFile() {
		return errors.New("contentSchema: a file inside a string of JSON cannot be fetched: " +
			"take the object itself in place of the string")
	}
	n.secret = n.secret || content.hides
	return nil
}

func (c *compiler) arrays(n *node, k keywords) (err error) {
	n.minItems, n.maxItems, n.unique = k.MinItems, k.MaxItems, k.UniqueItems
	prefix, rest := k.PrefixItems, k.Items
	if bytes.HasPrefix(rest, []byte("[")) { // how JSON Schema before 2020 spells prefixItems
		if err := json.Unmarshal(rest, &prefix); err != nil {
			return fmt.Errorf("items: %w", err)
		}
		rest = k.AdditionalItems
	}
	for i, source := range prefix {
		item, err := c.compile(source)
		if err != nil {
			return fmt.Errorf("item %d: %w", i, err)
		}
		n.prefix = append(n.prefix, item)
	}
	if n.items, err = c.optional("items", rest); err != nil {
		return err
	}
	if n.contains, err = c.trial("contains", k.Contains); err != nil {
		return err
	}
	n.minHits, n.maxHits = 1, k.MaxContains
	if k.MinContains != nil {
		n.minHits = *k.MinContains
	}
	return nil
}

func (c *compiler) objects(n *node, k keywords) (err error) {
	n.required, n.needs = k.Required, k.DependentRequired
	n.minKeys, n.maxKeys = k.MinProperties, k.MaxProperties
	n.properties = make(map[string]*node, len(k.Properties))
	for _, name := range slices.Sorted(maps.Keys(k.Properties)) {
		if n.properties[name], err = c.compile(k.Properties[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := c.patterns(n, k); err != nil {
		return err
	}
	if n.names, err = c.trial("propertyNames", k.PropertyNames); err != nil {
		return err
	}
	switch string(k.AdditionalProperties) {
	case "null":
	case "true":
		n.open = true
	case "false":
		n.closed = true
	default:
		n.additional, err = c.optional("additionalProperties", k.AdditionalProperties)
	}
	return err
}

func (c *compiler) patterns(n *node, k keywords) error {
	for _, source := range slices.Sorted(maps.Keys(k.PatternProperties)) {
		key, err := newPattern(source)
		if err != nil {
			return fmt.Errorf("patternProperties: %w", err)
		}
		value, err := c.compile(k.PatternProperties[source])
		if err != nil {
			return fmt.Errorf("patternProperties %s: %w", source, err)
		}
		n.patterns = append(n.patterns, keyed{key, value})
	}
	several := len(n.patterns) > 1 || len(n.properties) > 0
	holdsFile := func(p keyed) bool { return p.value.holdsFile() }
	if several && slices.ContainsFunc(n.patterns, holdsFile) {
		return errors.New("patternProperties: a key that may have two schemas cannot be a file: " +
			"name its property")
	}
	return nil
}

func (c *compiler) not(n *node, k keywords) (err error) {
	n.not, err = c.trial("not", k.Not)
	return err
}

// optional compiles a schema that may be absent.
func (c *compiler) optional(keyword string, source json.RawMessage) (*node, error) {
	if source == nil {
		return nil, nil
	}
	n, err := c.compile(source)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyword, err)
	}
	return n, nil
}

// trial compiles a schema that a value is only compared with. It cannot contain a file.
func (c *compiler) trial(keyword string, source json.RawMessage) (*node, error) {
	n, err := c.optional(keyword, source)
	if n != nil && n.holdsFile() {
		return nil, fmt.Errorf("%s: a file cannot be told from a string here: use a str", keyword)
	}
	return n, err
}

// inside returns the schemas of the value, or of a part of it, that may contain files or secrets.
func (n *node) inside() []*node {
	all := slices.Concat(n.anyOf, n.prefix, slices.Collect(maps.Values(n.properties)))
	for _, p := range n.patterns {
		all = append(all, p.value)
	}
	for _, m := range []*node{n.items, n.additional, n.contains, n.not, n.names} {
		if m != nil {
			all = append(all, m)
		}
	}
	return all
}

// holdsFile reports whether a value, or a part of it, may be a file.
func (n *node) holdsFile() bool {
	return n.file || slices.ContainsFunc(n.inside(), (*node).holdsFile)
}
