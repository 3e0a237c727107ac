package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/coggo/coggo/internal/schema"
)

// longestDefault is the longest default in an example. mostDefaults bounds all defaults together,
// in bytes, so that people can read and edit the line.
const (
	longestDefault = 60
	mostDefaults   = 160
)

// example makes an input object that the model takes: a value for each required input, and then
// short defaults to change. amiss lists values that the model still refuses, because only its
// author knows valid ones.
func example(document *schema.Document) (input json.RawMessage, amiss []schema.Problem) {
	exact := document.Exact()
	components := components{exact}
	properties := components.decode(exact[schema.PredictInput]).Properties
	inputs := signatureOf(document).inputs
	var members []string
	for _, p := range inputs {
		if p.required {
			members = append(members, member(p.name, components.sample(p.name, properties[p.name])))
		}
	}
	room := mostDefaults
	for _, p := range inputs {
		value := compact(p.Default)
		skip := p.required || p.file() || p.Format == "password"
		if skip || len(value) == 0 || value == "null" || len(value) > min(longestDefault, room) {
			continue
		}
		one := member(p.name, value)
		_, wrong := document.Predict().Check(object(append(slices.Clip(members), one)))
		if slices.ContainsFunc(wrong, about(p.name)) {
			continue // the model gets this default, but no request may send it
		}
		members = append(members, one)
		room -= len(value)
	}
	input = object(members)
	_, amiss = document.Predict().Check(input)
	return input, amiss
}

// about selects the problems of one input, whose place is body, input and its name.
func about(name string) func(schema.Problem) bool {
	return func(p schema.Problem) bool { return len(p.Loc) > 2 && p.Loc[2] == name }
}

func member(name, value string) string { return string(quote(name)) + ": " + value }

func object(members []string) json.RawMessage {
	return json.RawMessage("{" + strings.Join(members, ", ") + "}")
}

func compact(value json.RawMessage) string {
	var out bytes.Buffer
	if json.Compact(&out, value) != nil {
		return ""
	}
	return out.String()
}

// shape is a schema, as far as a sample needs it.
type shape struct {
	reference
	Type       string                     `json:"type"`
	Format     string                     `json:"format"`
	Address    bool                       `json:"x-cog-url"`
	Default    json.RawMessage            `json:"default"`
	Const      json.RawMessage            `json:"const"`
	Enum       []json.RawMessage          `json:"enum"`
	AllOf      []json.RawMessage          `json:"allOf"`
	AnyOf      []json.RawMessage          `json:"anyOf"`
	OneOf      []json.RawMessage          `json:"oneOf"`
	Items      json.RawMessage            `json:"items"`
	Prefix     []json.RawMessage          `json:"prefixItems"`
	MinItems   *int                       `json:"minItems"`
	MaxItems   *int                       `json:"maxItems"`
	MinLength  int                        `json:"minLength"`
	MaxLength  *int                       `json:"maxLength"`
	Minimum    json.Number                `json:"minimum"`
	Maximum    json.Number                `json:"maximum"`
	Properties map[string]json.RawMessage `json:"properties"`
	Required   []string                   `json:"required"`
}

// components are the schemas that the schemas of an example refer to.
type components struct{ schema.Components }

// decode reads a schema. If it is a reference, it reads the schema behind it.
func (c components) decode(source json.RawMessage) (s shape) {
	_ = json.Unmarshal(source, &s) // an unreadable schema has no sample
	switch {
	case s.Ref != "":
		return c.decode(c.Refer(s.Ref))
	case len(s.AllOf) == 1:
		return c.decode(s.AllOf[0])
	}
	return s
}

// sample returns a value that fits a schema, as far as it can be found without trying. A recursive
// schema has one too, because it can't require itself.
func (c components) sample(name string, source json.RawMessage) string {
	s := c.decode(source)
	switch {
	case s.Default != nil:
		return compact(s.Default)
	case s.Const != nil:
		return compact(s.Const)
	case len(s.Enum) > 0:
		return compact(s.Enum[0])
	case len(s.AnyOf)+len(s.OneOf) > 0:
		return c.sample(name, append(s.AnyOf, s.OneOf...)[0])
	case s.Type == "string":
		return string(quote(s.text(name)))
	case s.Type == "integer" || s.Type == "number":
		return cmp.Or(s.Minimum.String(), s.Maximum.String(), "1")
	case s.Type == "boolean":
		return "true"
	case s.Type == "array":
		return c.list(name, s)
	case s.Type == "object":
		var members []string
		for _, key := range s.Required {
			members = append(members, member(key, c.sample(key, s.Properties[key])))
		}
		return string(object(members))
	default:
		return string(quote(hello))
	}
}

func (c components) list(name string, s shape) string {
	var items []string
	for _, item := range s.Prefix {
		items = append(items, c.sample(name, item))
	}
	least := 1
	if s.MinItems != nil && *s.MinItems <= mostItems {
		least = *s.MinItems
	}
	if s.MaxItems != nil {
		least = min(least, *s.MaxItems)
	}
	for len(s.Prefix) == 0 && len(items) < least {
		items = append(items, c.sample(name, s.Items))
	}
	return "[" + strings.Join(items, ", ") + "]"
}

const hello = "hello"

// A longer string or list is left to the author, because people can't edit such a line.
const (
	longestSample = 200
	mostItems     = 10
)

// text returns a string of a valid length, or a small file.
func (s shape) text(name string) string {
	if s.Address {
		return "https://example.com/"
	}
	if s.Format == "uri" {
		return sampleFile(name)
	}
	text := hello
	for len(text) < s.MinLength && s.MinLength <= longestSample {
		text += " " + hello
	}
	if s.MaxLength != nil && *s.MaxLength < len(text) {
		text = text[:*s.MaxLength]
	}
	return text
}

// samples are small files of the kinds that models take most, by words in the names of their
// inputs: a gray picture of 16 by 16 pixels, and a millisecond of silence.
var samples = []struct {
	words []string
	file  string
}{
	{[]string{"image", "img", "picture", "photo", "mask", "frame", "face"}, "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAFElEQVR42mNoIBEwjGoY1TB8NQAAJYSAELxv8c8AAAAASUVORK5CYII="},
	{[]string{"audio", "sound", "speech", "voice", "music", "song", "wav"}, "data:audio/wav;base64,UklGRiwAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQgAAACAgICAgICAgA=="},
}

// sampleFile returns a data URL of the kind of file that the name of an input suggests.
func sampleFile(name string) string {
	for _, s := range samples {
		inName := func(word string) bool { return strings.Contains(strings.ToLower(name), word) }
		if slices.ContainsFunc(s.words, inName) {
			return s.file
		}
	}
	return "data:text/plain;base64,aGVsbG8="
}

// inWords lists the values that the reader must change, one a line.
func inWords(amiss []schema.Problem) string {
	var out strings.Builder
	for _, p := range amiss {
		fmt.Fprintf(&out, "  first change %s: %s\n", p.Place(), p.Msg)
	}
	return out.String()
}
