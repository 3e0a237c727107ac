package schema_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

const allKinds = `"text": {"type": "string", "minLength": 1, "pattern": "^[^z]*$"}, "n": {"type": "integer", "minimum": -5},
	"x": {"type": "number", "maximum": 1e300}, "on": {"type": "boolean"}, "file": {"type": "string", "format": "uri"},
	"secret": {"type": "string", "x-cog-secret": true}, "xs": {"type": "array", "items": {"type": "integer", "nullable": true}},
	"either": {"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "array", "items": {"type": "number"}}]},
	"box": {"type": "object", "properties": {"w": {"type": "number"}}, "required": ["w"], "additionalProperties": {"type": "boolean"}},
	"any": {}, "shade": {"allOf": [{"$ref": "#/components/schemas/Shade"}]},
	"tagged": {"oneOf": [{"type": "object", "properties": {"k": {"const": "a"}, "s": {"type": "string", "writeOnly": true}, "n": {"type": "integer"}}},
		{"type": "object", "properties": {"k": {"const": "b"}, "s": {"type": "array", "items": {"type": "number"}, "uniqueItems": true}}}],
		"discriminator": {"propertyName": "k"}},
	"pair": {"type": "array", "prefixItems": [{"type": "integer", "multipleOf": 2}, {"type": "integer", "x-cog-secret": true}], "items": {"not": {"const": 1}}},
	"keyed": {"type": "object", "properties": {"ab": {"type": "integer"}}, "patternProperties": {"^a": {"type": "number"}, "b$": {"type": "number"}},
		"propertyNames": {"minLength": 1}, "minProperties": 1}`

// FuzzCheck checks for any bytes: no panic, valid JSON from valid JSON, a result that Check returns
// unchanged, an echo with the same meaning, and a location in each problem.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `null`, `{"n": "5", "n": 2.0}`, `{"x": 1, "on": "yes", "text": "\ud83d\ude00"}`, `{"xs": [1, null, "3"], "u": {}}`,
		`{"either": [1, 2.5], "box": {"w": 1, "q": 0}, "any": [{"a": 1e3}]}`, `{"file": "data:,x", "secret": "s"}`, `{"shade": "dark"}`,
		`{"tagged": {"k": "a", "s": "x", "n": "1"}, "pair": [2, "3", 1], "keyed": {"ab": "1", "ac": 1, "q": [], "b": 2}}`,
		`{"tagged": {"k": "b", "s": [1, 1.0]}, "pair": ["2.0", {"a": 1}, {"b": [1]}], "keyed": {"": 1, "ab": 1.0, "ab": 2}}`,
		`{"text": "` + "\xff" + `"}`, `{"any": ` + strings.Repeat("[", 300), `{"x": "1e999", "n": -0.0}`,
	} {
		f.Add([]byte(seed))
	}
	in := inputOf(f, allKinds)
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := bytes.Clone(raw)
		checked, problems := in.Check(raw)
		if !bytes.Equal(raw, before) {
			t.Fatal("the input was written to")
		}
		for _, p := range problems {
			if len(p.Loc) < 2 || p.Msg == "" || p.Type == "" {
				t.Fatalf("problem %+v", p)
			}
		}
		if problems != nil {
			return
		}
		if !json.Valid(checked.Input) || !json.Valid(checked.MaskedInput) || !utf8.Valid(checked.Input) {
			t.Fatalf("Input = %q, MaskedInput = %q", checked.Input, checked.MaskedInput)
		}
		again, problems := in.Check(checked.Input)
		if problems != nil || !bytes.Equal(again.Input, checked.Input) || again.Unknown != nil {
			t.Fatalf("Input %s does not check to itself: %s, %v", checked.Input, again.Input, problems)
		}
		for _, file := range checked.Files {
			if !strings.Contains(file.URL, ":") || file.Pointer != "/file" {
				t.Fatalf("file %+v", file)
			}
		}
	})
}

func BenchmarkCheckHello(b *testing.B) {
	in := inputOf(b, `"prompt": {"type": "string", "minLength": 1}, "steps": {"type": "integer", "minimum": 1, "maximum": 100},
		"scale": {"type": "number"}, "name": {"type": "string"}`)
	raw := json.RawMessage(`{"prompt": "a photo of an astronaut", "steps": 30, "scale": 7.5, "name": "hello"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, problems := in.Check(raw); problems != nil {
			b.Fatal(problems)
		}
	}
}

func BenchmarkCheckPattern(b *testing.B) {
	in := inputOf(b, `"name": {"type": "string", "pattern": "^[a-z]+$"}`)
	raw := json.RawMessage(`{"name": "hello"}`)
	for b.Loop() {
		if _, problems := in.Check(raw); problems != nil {
			b.Fatal(problems)
		}
	}
}

func BenchmarkCheck16MiBDataURL(b *testing.B) {
	in := inputOf(b, `"image": `+pathSchema)
	raw := json.RawMessage(`{"image": "data:image/png;base64,` + strings.Repeat("iVBORw0K", 2<<20) + `"}`)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, problems := in.Check(raw); problems != nil {
			b.Fatal(problems)
		}
	}
}
