package schema_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/coggo/coggo/internal/schema"
)

const (
	upload = `{"type": "object", "properties": {"kind": {"const": "upload"}, "file": ` + pathSchema + `}, "required": ["file"]}`
	words  = `{"type": "object", "properties": {"kind": {"enum": ["words"], "type": "string"}, "file": {"type": "string"}, "n": {"type": "integer"}}}`
	tagged = `{"oneOf": [` + upload + `, ` + words + `], "discriminator": {"propertyName": "kind"}}`
)

func TestEveryKeywordOfASchemaIsChecked(t *testing.T) {
	for _, row := range []struct{ schema, value, kind, msg string }{
		{`{"type": "integer", "exclusiveMinimum": 1}`, `2`, "", ""},
		{`{"type": "integer", "exclusiveMinimum": 1}`, `1`, "greater_than", "must be greater than 1; got 1"},
		{`{"type": "number", "exclusiveMaximum": 0.5}`, `0.25`, "", ""},
		{`{"type": "number", "exclusiveMaximum": 0.5}`, `0.5`, "less_than", "must be less than 0.5; got 0.5"},
		{`{"type": "integer", "multipleOf": 3}`, `9007199254740993`, "", ""},
		{`{"type": "integer", "multipleOf": 3}`, `9007199254740994`, "multiple_of", "must be a multiple of 3; got 9007199254740994"},
		{`{"type": "number", "multipleOf": 0.1}`, `0.3`, "", ""},
		{`{"type": "number", "multipleOf": 0.1}`, `0.35`, "multiple_of", "must be a multiple of 0.1; got 0.35"},

		{`{"const": 1}`, `1.0`, "", ""},
		{`{"const": "1"}`, `1`, "enum", "must be one of: 1; got 1"},
		{`{"const": null}`, `null`, "", ""},
		{`{"const": null}`, `0`, "enum", "must be one of: null; got 0"},
		{`{"enum": [{"a": [1, "x"], "b": 2}]}`, `{ "b": 2.0, "a": [ 1, "\u0078" ] }`, "", ""},
		{`{"enum": [{"a": [1, "x"]}]}`, `{"a": [1]}`, "enum", `must be one of: {"a":[1,"x"]}; got an object`},
		{`{"type": "array", "items": {}, "enum": [[1, 2]]}`, `[2, 1]`, "enum", "must be one of: [1,2]; got a list"},
		{`{"type": "null"}`, `null`, "", ""},
		{`{"type": "null"}`, `1`, "none_required", "must be null; got 1"},
		{`{"type": ["string", "null"]}`, `null`, "", ""},
		{`{"type": ["string", "null"]}`, `1`, "string_type", "must be a string; got 1"},
		{`{"not": {"type": "string"}}`, `1`, "", ""},
		{`{"not": {"type": "string"}}`, `"x"`, "not", `is one of the values that are not allowed; got "x"`},
		{`{"minimum": 2, "minLength": 2}`, `"x"`, "string_too_short", "must have at least 2 characters; got 1"},
		{`{"minimum": 2, "minLength": 2}`, `1`, "greater_than_equal", "must be at least 2; got 1"},
		{`{"minimum": 2, "properties": {"a": {"type": "string"}}}`, `{"a": 1}`, "string_type", "must be a string; got 1"},
		{`false`, `1`, "never", "is not allowed here"},

		{`{"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]}`, `["x", 1, {}]`, "", ""},
		{`{"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]}`, `["x", "y"]`, "int_parsing", `must be an integer; got "y"`},
		{`{"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "integer"}}`, `["x", 1, "y"]`, "int_parsing", `must be an integer; got "y"`},
		{`{"type": "array", "prefixItems": [{"type": "string"}], "items": false}`, `["x", 1]`, "never", "is not allowed here"},
		{`{"type": "array", "items": [{"type": "string"}, {"type": "integer"}]}`, `[1, 1]`, "string_type", "must be a string; got 1"},
		{`{"type": "array", "items": [{"type": "string"}], "additionalItems": {"type": "string"}}`, `["x", 1]`, "string_type", "must be a string; got 1"},
		{`{"type": "array", "uniqueItems": true}`, `[1, "1", [1], {"a": 1}]`, "", ""},
		{`{"type": "array", "uniqueItems": true}`, `[{"a": 1, "b": 2}, {"b": 2, "a": 1.0}]`, "unique", "is the same as an item before it"},
		{`{"type": "array", "contains": {"const": 1}}`, `[2, 1]`, "", ""},
		{`{"type": "array", "contains": {"const": 1}}`, `[2]`, "too_short", "must have at least 1 item of a certain kind; got 0"},
		{`{"type": "array", "contains": {"const": 1}, "minContains": 0, "maxContains": 1}`, `[1, 1]`, "too_long", "must have at most 1 item of a certain kind; got 2"},

		{`{"type": "object", "patternProperties": {"^a": {"type": "integer"}}}`, `{"a1": 1, "b": "x"}`, "", ""},
		{`{"type": "object", "patternProperties": {"^a": {"type": "integer"}}}`, `{"a1": "x"}`, "int_parsing", `must be an integer; got "x"`},
		{`{"type": "object", "properties": {"a1": {"type": "integer"}}, "patternProperties": {"^a": {"minimum": 2}}}`, `{"a1": 1}`,
			"greater_than_equal", "must be at least 2; got 1"},
		{`{"type": "object", "patternProperties": {"^a": {}}, "additionalProperties": false}`, `{"b": 1}`, "extra_forbidden", "is not a key of this object"},
		{`{"type": "object", "propertyNames": {"enum": ["a", "b"]}}`, `{"a": 1}`, "", ""},
		{`{"type": "object", "propertyNames": {"enum": ["a", "b"]}}`, `{"c": 1}`, "enum", `must be one of: a, b; got "c"`},
		{`{"type": "object", "minProperties": 1}`, `{}`, "too_short", "must have at least 1 key; got 0"},
		{`{"type": "object", "maxProperties": 1}`, `{"a": 1, "b": 1, "a": 2}`, "too_long", "must have at most 1 key; got 2"},
		{`{"type": "object", "dependentRequired": {"a": ["b"]}}`, `{"b": 1}`, "", ""},
		{`{"type": "object", "dependentRequired": {"a": ["b"]}}`, `{"a": 1}`, "missing", "Field required"},

		{tagged, `{"kind": "words", "file": "/etc/passwd", "n": "3"}`, "", ""},
		{tagged, `{"kind": "upload", "file": "/etc/passwd"}`, "url_parsing", `must be an http://, https:// or data: URL; got "/etc/passwd"`},
		{tagged, `{"kind": "other"}`, "union_tag_invalid", `must be one of: upload, words; got "other"`},
		{tagged, `{"file": "data:,x"}`, "missing", "Field required"},
		{tagged, `[]`, "union", "must be an object or an object; got a list"},
		{`{"oneOf": [{"type": "integer"}, {"type": "string"}]}`, `true`, "union", "must be an integer or a string; got true"},
		{`{"anyOf": [{"type": "integer"}, {"type": "string"}], "minimum": 3}`, `2`, "greater_than_equal", "must be at least 3; got 2"},
		{`{"anyOf": [{"type": "integer", "minimum": 0}, {"type": "number", "minimum": 0}]}`, `-1.5`, "greater_than_equal", "must be at least 0; got -1.5"},
		{`{"anyOf": [{"type": "integer", "minimum": 0}, {"type": "number", "minimum": 0}]}`, `-1`, "greater_than_equal", "must be at least 0; got -1"},
		{`{"anyOf": [{"type": "string", "enum": ["a", 1]}, {"type": "integer", "enum": ["a", 1]}]}`, `2`, "enum", "must be one of: a, 1; got 2"},
		{`{"enum": ["auto", 512, false]}`, `512.0`, "", ""},
		{`{"enum": ["auto", 512, false]}`, `false`, "", ""},
		{`{"enum": ["auto", 512, false]}`, `"512"`, "enum", `must be one of: auto, 512, false; got "512"`},
		{`{"enum": ["auto", 512, false]}`, `0`, "enum", "must be one of: auto, 512, false; got 0"},
		{`{"enum": ["auto", 512], "nullable": true}`, `null`, "", ""},
		{`{"allOf": [{"$ref": "#/components/schemas/Size"}], "minimum": 2}`, `1`, "greater_than_equal", "must be at least 2; got 1"},
		{`{"type": "string", "enum": ["a", "bc"], "maxLength": 1}`, `"bc"`, "string_too_long", "must have at most 1 character; got 2"},
		{`{"anyOf": []}`, `1`, "union", "must be ; got 1"},
		{`{"allOf": [{"$ref": "#/components/schemas/Size"}], "maximum": 3, "default": 1}`, `30`, "less_than_equal", "must be at most 3; got 30"},
		{`{"$ref": "#/components/schemas/Size", "description": "of it", "maximum": 3}`, `30`, "less_than_equal", "must be at most 3; got 30"},
		{`{"allOf": [{"type": "object", "required": ["a"]}, {"required": ["b"], "properties": {"b": {"type": "integer"}}}]}`, `{"a": 1}`,
			"missing", "Field required"},
	} {
		t.Run(row.schema+" "+row.value, func(t *testing.T) {
			_, problems := inputOf(t, `"v": `+row.schema).Check(json.RawMessage(`{"v": ` + row.value + `}`))
			if row.kind == "" {
				if problems != nil {
					t.Errorf("refused: %+v", problems)
				}
				return
			}
			if len(problems) != 1 || problems[0].Type != row.kind || problems[0].Msg != row.msg {
				t.Errorf("problems = %+v\nwant      %s: %s", problems, row.kind, row.msg)
			}
		})
	}
}

func TestAKeywordThatIsNotCheckedIsRefusedWithItsFieldAndTheRemedy(t *testing.T) {
	for _, row := range []struct{ schema, reason string }{
		{`{"if": {}, "then": {}}`, `keyword "`},
		{`{"type": "object", "properties": {"w": {"dependentSchemas": {}}}}`, `v: w: the server does not check the keyword "dependentSchemas": take it out`},
		{`{"unevaluatedProperties": false}`, `the keyword "unevaluatedProperties"`},
		{`{"anyOf": [{"unevaluatedItems": false}]}`, `member 0 of the union: the server does not check`},
		{`{"anyOf": [{}], "oneOf": [{}]}`, "anyOf together with oneOf"},
		{`{"anyOf": [{"minimum": 1}], "minimum": 2}`, `says "minimum" next to another`},
		{`{"type": ["string", "integer"]}`, "use anyOf"},
		{`{"contentSchema": {"type": "object", "properties": {"f": ` + pathSchema + `}}}`, "take the object itself"},
		{`{"not": ` + pathSchema + `}`, "use a str"},
		{`{"contains": ` + pathSchema + `}`, "use a str"},
		{`{"propertyNames": ` + pathSchema + `}`, "use a str"},
		{`{"properties": {"a": {}}, "patternProperties": {"^a": ` + pathSchema + `}}`, "name its property"},
		{`{"multipleOf": 0}`, "multipleOf"},
	} {
		_, err := schema.Parse([]byte(`{"components": {"schemas": {"Input": {"type": "object", "properties": {"v": ` + row.schema + `}}}}}`))
		if err == nil || !strings.Contains(err.Error(), row.reason) || !strings.Contains(err.Error(), "v: ") {
			t.Errorf("Parse of %s: %v; want %q", row.schema, err, row.reason)
		}
	}
}

func TestKeywordsThatDoNotConstrainValuesAreAllowed(t *testing.T) {
	accept(t, inputOf(t, `"v": {"type": "string", "title": "V", "description": "of it", "default": 1, "examples": [1], "deprecated": true,
		"readOnly": true, "x-what": {"if": 1}, "widget": "area", "format": "date-time", "contentEncoding": "base64", "$comment": "c"}`), `{"v": "x"}`)
}

func TestFilesAreFoundAtAnyDepth(t *testing.T) {
	in := inputOf(t, `"tagged": `+tagged+`, "one": {"oneOf": [{"type": "integer"}, `+pathSchema+`]},
		"pair": {"type": "array", "prefixItems": [`+pathSchema+`, {"type": "string"}], "items": `+pathSchema+`},
		"old": {"type": "array", "items": [{"type": "string"}, `+pathSchema+`]},
		"keyed": {"type": "object", "patternProperties": {"^f": `+pathSchema+`}},
		"all": {"allOf": [{"type": "string"}, {"format": "uri"}]}, "spread": {"anyOf": [{"type": "string"}], "format": "uri"},
		"link": {"type": "string", "format": "uri", "x-cog-url": true}`)
	checked := accept(t, in, `{"tagged": {"kind": "upload", "file": "data:,1"}, "one": "data:,2", "pair": ["data:,3", "data:,no", "data:,4"],
		"old": ["data:,no", "data:,5"], "keyed": {"f": "data:,6", "g": "data:,no"}, "all": "data:,7", "spread": "data:,8", "link": "https://h/no"}`)
	var found []string
	for _, file := range checked.Files {
		found = append(found, file.Pointer+" "+file.URL)
	}
	want := "/tagged/file data:,1; /one data:,2; /pair/0 data:,3; /pair/2 data:,4; /old/1 data:,5; /keyed/f data:,6; /all data:,7; /spread data:,8"
	if got := strings.Join(found, "; "); got != want {
		t.Errorf("files = %s\nwant    %s", got, want)
	}
	if files := accept(t, in, `{"tagged": {"kind": "words", "file": "data:,1"}}`).Files; files != nil {
		t.Errorf("files = %v for a member without", files)
	}
}

func TestAStringOrAFileIsReadAsTheFirstDeclared(t *testing.T) {
	in := inputOf(t, `"text": {"anyOf": [{"type": "string"}, `+pathSchema+`]}, "file": {"anyOf": [`+pathSchema+`, {"type": "string"}]}`)
	checked := accept(t, in, `{"text": "data:,1", "file": "data:,2"}`)
	if len(checked.Files) != 1 || checked.Files[0].Pointer != "/file" {
		t.Errorf("files = %v, want that of /file alone", checked.Files)
	}
	if files := accept(t, in, `{"text": "x", "file": "/etc/passwd"}`).Files; files != nil {
		t.Errorf("files = %v for plain strings", files)
	}
}

func TestSecretsAreMaskedAtAnyDepth(t *testing.T) {
	const stars = `"**********"`
	key := `{"type": "object", "properties": {"kind": {"const": "key"}, "token": ` + secretSchema + `}}`
	in := inputOf(t, `"tagged": {"oneOf": [`+words+`, `+key+`], "discriminator": {"propertyName": "kind"}},
		"loose": {"oneOf": [{"type": "object", "properties": {"token": {"type": "string"}}}, `+key+`]},
		"pair": {"type": "array", "prefixItems": [{"type": "string"}, `+secretSchema+`]},
		"keyed": {"type": "object", "patternProperties": {"^s": `+secretSchema+`}},
		"pin": {"type": "integer", "x-cog-secret": true}, "written": {"type": "string", "writeOnly": true},
		"json": {"type": "string", "contentSchema": `+key+`}, "all": {"allOf": [{"type": "string"}, {"format": "password"}]},
		"whole": {"type": "object", "writeOnly": true}, "some": {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-cog-secret": true}`)
	for _, row := range []struct{ raw, echo string }{
		{`{"tagged": {"kind": "key", "token": "hush"}}`, `{"tagged": {"kind": "key", "token": ` + stars + `}}`},
		{`{"tagged": {"kind": "words", "file": "a"}}`, `{"tagged": {"kind": "words", "file": "a"}}`},
		{`{"loose": {"token": "hush"}}`, `{"loose": {"token": ` + stars + `}}`},
		{`{"loose": {"token": "a", "other": {"x": "hush"}}}`, `{"loose": {"token": ` + stars + `, "other": ` + stars + `}}`},
		{`{"pair": ["a", "hush"]}`, `{"pair": ["a", ` + stars + `]}`},
		{`{"keyed": {"s1": "hush"}}`, `{"keyed": {"s1": ` + stars + `}}`},
		{`{"pin": 4711}`, `{"pin": ` + stars + `}`},
		{`{"pin": "4711"}`, `{"pin": ` + stars + `}`},
		{`{"written": "hush"}`, `{"written": ` + stars + `}`},
		{`{"json": "{\"token\": \"hush\"}"}`, `{"json": ` + stars + `}`},
		{`{"all": "hush"}`, `{"all": ` + stars + `}`},
		{`{"whole": {"a": ["hush"]}}`, `{"whole": ` + stars + `}`},
		{`{"some": 4711}`, `{"some": ` + stars + `}`},
	} {
		t.Run(row.raw, func(t *testing.T) {
			if checked := accept(t, in, row.raw); string(checked.MaskedInput) != row.echo {
				t.Errorf("MaskedInput = %s\nwant   %s", checked.MaskedInput, row.echo)
			}
		})
	}
	for _, raw := range []string{
		`{"tagged": {"kind": "hush"}}`, `{"tagged": {"kind": "words", "n": "hush"}}`, `{"loose": "hush"}`, `{"loose": {"token": ["hush"]}}`,
		`{"pair": ["a", {"hush": 1}]}`, `{"pair": "hush"}`, `{"pin": "hush"}`, `{"pin": 4.711}`, `{"keyed": "hush"}`, `{"some": true}`,
	} {
		body, _ := json.Marshal(refuse(t, in, raw))
		if strings.Contains(strings.ReplaceAll(string(body), `"hush"]`, ""), "hush") || strings.Contains(string(body), "4.711") {
			t.Errorf("Check(%s) showed the secret: %s", raw, body)
		}
	}
}
