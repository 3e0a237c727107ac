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

// property describes one value in an OpenAPI document, as far as people and the command line need
// it.
type property struct {
	Type        string            `json:"type"`
	Format      string            `json:"format"`
	Description string            `json:"description"`
	Default     json.RawMessage   `json:"default"`
	Nullable    bool              `json:"nullable"`
	Order       int               `json:"x-order"`
	Enum        []json.RawMessage `json:"enum"`
	Items       *property         `json:"items"`
	AllOf       []reference       `json:"allOf"`
	AnyOf       []property        `json:"anyOf"`
	Minimum     json.Number       `json:"minimum"`
	Maximum     json.Number       `json:"maximum"`
	Any         bool              `json:"x-cog-any"`
	Address     bool              `json:"x-cog-url"`
	ArrayType   string            `json:"x-cog-array-type"`
	Display     string            `json:"x-cog-array-display"`
	Properties  members           `json:"properties"`
	Required    []string          `json:"required"`
	Values      values            `json:"additionalProperties"`

	name     string
	required bool
}

type reference struct {
	Ref string `json:"$ref"`
}

// members are the members of an object, in the order of the document.
type members []property

// UnmarshalJSON reads an object whose values are schemas.
func (m *members) UnmarshalJSON(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if _, err := decoder.Token(); err != nil {
		return err
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return err
		}
		var p property
		if err := decoder.Decode(&p); err != nil {
			return err
		}
		p.name, _ = name.(string) // the names of an object are strings
		*m = append(*m, p)
	}
	return nil
}

// values describes the values of an object with arbitrary keys.
type values struct{ *property }

// UnmarshalJSON reads a schema. true and false do not describe the values.
func (v *values) UnmarshalJSON(data []byte) error {
	if !bytes.HasPrefix(data, []byte("{")) {
		return nil
	}
	return json.Unmarshal(data, &v.property)
}

// signature describes the inputs and the output of a method.
type signature struct {
	inputs []property // in the author's order
	open   bool       // it takes inputs with any name
	output property
}

// signatureOf describes predict.
func signatureOf(document *schema.Document) signature {
	return readSignature(document, schema.PredictInput, schema.PredictOutput)
}

// trainingOf describes train, if the model has it.
func trainingOf(document *schema.Document) (s signature, ok bool) {
	return readSignature(document, schema.TrainInput, schema.TrainOutput), document.Train() != nil
}

func readSignature(document *schema.Document, inputName, outputName string) signature {
	var input struct {
		Properties members  `json:"properties"`
		Required   []string `json:"required"`
		Additional any      `json:"additionalProperties"`
	}
	components := document.Exact()
	_ = components.Decode(inputName, &input) // an unreadable schema shows nothing
	s := signature{open: input.Additional == true}
	for _, p := range input.Properties {
		p.required = slices.Contains(input.Required, p.name)
		if len(p.AllOf) == 1 { // a choice: its values are in another component
			var choices property
			_ = json.Unmarshal(components.Refer(p.AllOf[0].Ref), &choices)
			p.Type, p.Enum = choices.Type, choices.Enum
		}
		s.inputs = append(s.inputs, p)
	}
	slices.SortFunc(s.inputs, func(a, b property) int { return cmp.Compare(a.Order, b.Order) })
	_ = components.Decode(outputName, &s.output)
	return s
}

func (s signature) input(name string) (property, bool) {
	i := slices.IndexFunc(s.inputs, func(p property) bool { return p.name == name })
	if i < 0 {
		return property{}, false
	}
	return s.inputs[i], true
}

// file reports whether the value, or each of its items, is a file. In a union, the first member
// that takes strings decides.
func (p property) file() bool {
	for _, member := range p.AnyOf {
		if member.file() || member.text() {
			return member.file()
		}
	}
	return p.Format == "uri" && !p.Address || p.Items != nil && p.Items.file()
}

// text reports whether every value is a string in JSON.
func (p property) text() bool {
	other := func(member property) bool { return !member.text() }
	return p.Type == "string" || len(p.AnyOf) > 0 && !slices.ContainsFunc(p.AnyOf, other)
}

// kind returns the type in the words of all messages: string, integer, number, boolean, file, list
// of …, object.
func (p property) kind() string {
	switch {
	case len(p.Enum) == 1 && string(p.Enum[0]) == "null":
		return "null"
	case p.Enum != nil:
		return "one of " + string(bytes.Join(unwrap(p.Enum), []byte(", ")))
	case p.Format == "uri" && !p.Address:
		return "file"
	case p.Format == "password":
		return "secret"
	case p.Type == "array" && p.Display == "concatenate":
		return "string, in pieces that belong together"
	case p.Type == "array" && p.Items != nil && p.ArrayType == "iterator":
		return "iterator of " + p.Items.kind()
	case p.Type == "array" && p.Items != nil:
		return "list of " + p.Items.kind()
	case p.AnyOf != nil:
		var kinds []string
		for _, member := range p.AnyOf {
			kinds = append(kinds, member.kind())
		}
		return strings.Join(kinds, " or ")
	case p.Type == "" || p.Any:
		return "any value"
	case p.Type == "object" && p.Properties == nil &&
		p.Values.property != nil && p.Values.Type != "":
		return "object of " + p.Values.kind()
	default:
		return p.Type
	}
}

// shape returns a line for each member of the object, or of the objects in the list. The lines of
// nested members follow, indented.
func (p property) shape(indent string) string {
	for p.Items != nil {
		p = *p.Items
	}
	width := 0
	for _, member := range p.Properties {
		width = max(width, len(member.name))
	}
	var out strings.Builder
	for _, member := range p.Properties {
		fmt.Fprintf(&out, "%s%-*s  %s", indent, width, member.name, member.kind())
		if !slices.Contains(p.Required, member.name) {
			out.WriteString(", optional")
		}
		out.WriteString("\n" + member.shape(indent+"  "))
	}
	for _, member := range p.AnyOf {
		out.WriteString(member.shape(indent))
	}
	return out.String()
}

func unwrap(raw []json.RawMessage) [][]byte {
	out := make([][]byte, len(raw))
	for i, r := range raw {
		out[i] = r
	}
	return out
}

// String describes the value: "integer = 3, 1 to 10".
func (p property) String() string {
	text := p.kind()
	switch {
	case p.required:
		text += ", required"
	case p.Default != nil:
		text += " = " + string(p.Default)
	default:
		text += ", optional"
	}
	switch {
	case p.Minimum != "" && p.Maximum != "":
		text += fmt.Sprintf(", %s to %s", p.Minimum, p.Maximum)
	case p.Minimum != "":
		text += ", at least " + p.Minimum.String()
	case p.Maximum != "":
		text += ", at most " + p.Maximum.String()
	}
	return text
}

// table returns one line for each input.
func (s signature) table(indent string) string {
	if len(s.inputs) == 0 && !s.open {
		return indent + "no inputs\n"
	}
	width := 0
	for _, p := range s.inputs {
		width = max(width, len(p.name))
	}
	var out strings.Builder
	for _, p := range s.inputs {
		fmt.Fprintf(&out, "%s%-*s  %s", indent, width, p.name, p)
		if about, _, _ := strings.Cut(p.Description, "\n"); about != "" {
			fmt.Fprintf(&out, "  (%s)", about)
		}
		out.WriteString("\n" + p.shape(indent+"  "))
	}
	if s.open {
		out.WriteString(indent + "inputs of any name\n")
	}
	return out.String()
}
