package schema_test

import (
	"strings"
	"testing"
)

const (
	intSchema    = `{"type": "integer"}`
	floatSchema  = `{"type": "number"}`
	boolSchema   = `{"type": "boolean"}`
	stringSchema = `{"type": "string"}`
	pathSchema   = `{"type": "string", "format": "uri"}`
	secretSchema = `{"type": "string", "format": "password", "writeOnly": true, "x-cog-secret": true}`
	intOrString  = `{"anyOf": [{"type": "integer"}, {"type": "string"}]}`
)

func listOf(items string) string { return `{"type": "array", "items": ` + items + `}` }

func TestValuesReachTheModelInTheirDeclaredType(t *testing.T) {
	huge := "1" + strings.Repeat("0", 4299)
	for _, row := range []struct{ schema, value, want string }{
		{intSchema, `5`, `5`},
		{intSchema, `-0`, `-0`},
		{intSchema, `5.0`, `5`},
		{intSchema, `-2.00`, `-2`},
		{intSchema, `1e3`, `1000`},
		{intSchema, `120e-1`, `12`},
		{intSchema, `0e999999`, `0`},
		{intSchema, `"5"`, `5`},
		{intSchema, `" 5 "`, `5`},
		{intSchema, `"5.0"`, `5`},
		{intSchema, `"+5"`, `5`},
		{intSchema, `"-007"`, `-7`},
		{intSchema, `"\u0035"`, `5`},
		{intSchema, `1180591620717411303424`, `1180591620717411303424`},
		{intSchema, `"1180591620717411303424"`, `1180591620717411303424`},
		{intSchema, `1180591620717411303424.0`, `1180591620717411303424`},
		{intSchema, huge, huge},

		{floatSchema, `1`, `1.0`},
		{floatSchema, `-1`, `-1.0`},
		{floatSchema, `2.0`, `2.0`},
		{floatSchema, `1e3`, `1e3`},
		{floatSchema, `0.1000000000000000055511151231257827`, `0.1000000000000000055511151231257827`},
		{floatSchema, `1180591620717411303424`, `1180591620717411303424.0`},
		{floatSchema, `1e-9999`, `1e-9999`},
		{floatSchema, `"1.5"`, `1.5`},
		{floatSchema, `"1e3"`, `1e3`},
		{floatSchema, `" +.5E-02 "`, `0.5e-02`},
		{floatSchema, `"5."`, `5.0`},
		{floatSchema, `"3"`, `3.0`},
		{floatSchema, `"-003"`, `-3.0`},

		{boolSchema, `true`, `true`},
		{boolSchema, `false`, `false`},
		{boolSchema, `1`, `true`},
		{boolSchema, `0`, `false`},
		{boolSchema, `1.0`, `true`},
		{boolSchema, `"true"`, `true`},
		{boolSchema, `"TRUE"`, `true`},
		{boolSchema, `"T"`, `true`},
		{boolSchema, `"yes"`, `true`},
		{boolSchema, `"Y"`, `true`},
		{boolSchema, `"on"`, `true`},
		{boolSchema, `"1"`, `true`},
		{boolSchema, `"False"`, `false`},
		{boolSchema, `"f"`, `false`},
		{boolSchema, `"no"`, `false`},
		{boolSchema, `"n"`, `false`},
		{boolSchema, `"OFF"`, `false`},
		{boolSchema, `"0"`, `false`},

		{stringSchema, `"5"`, `"5"`},
		{stringSchema, `"https://example.com/x.png"`, `"https://example.com/x.png"`},
		{stringSchema, `"file:///etc/passwd"`, `"file:///etc/passwd"`},
		{stringSchema, `"\ud83d\ude00\u00e9\n\/"`, `"\ud83d\ude00\u00e9\n\/"`},
		{secretSchema, `"hush"`, `"hush"`},

		{`{"allOf": [{"$ref": "#/components/schemas/Shade"}], "x-order": 0}`, `"dark"`, `"dark"`},
		{`{"allOf": [{"$ref": "#/components/schemas/Shade"}]}`, `"d\u0061rk"`, `"d\u0061rk"`},
		{`{"allOf": [{"$ref": "#/components/schemas/Size"}]}`, `"1"`, `1`},
		{`{"allOf": [{"$ref": "#/components/schemas/Size"}]}`, `30.0`, `30`},
		{`{"$ref": "#/components/schemas/Size", "nullable": true}`, `null`, `null`},
		{`{"enum": [true, 0.5, "a", null]}`, `5e-1`, `5e-1`},
		{`{"enum": [true, 0.5, "a", null]}`, `null`, `null`},

		{`{"type": "string", "nullable": true}`, `null`, `null`},
		{`{"type": "integer", "nullable": true}`, `"7"`, `7`},

		{listOf(intSchema), `["1", 2.0, 3]`, `[1, 2, 3]`},
		{listOf(floatSchema), `[1]`, `[1.0]`},
		{listOf(boolSchema), `[1, "off"]`, `[true, false]`},
		{listOf(listOf(intSchema)), `[["1"], [], [2.0]]`, `[[1], [], [2]]`},
		{listOf(`{"type": "integer", "nullable": true}`), `[null, "1"]`, `[null, 1]`},
		{listOf(`{}`), `[1, "1", null, {"a": [1.0]}]`, `[1, "1", null, {"a": [1.0]}]`},

		{`{"type": "object"}`, `{"b": 1.0, "a": [true, {"c": null}]}`, `{"b": 1.0, "a": [true, {"c": null}]}`},
		{`{"type": "object", "additionalProperties": {"type": "integer"}}`, `{"x": "1", "y": 2.0}`, `{"x": 1, "y": 2}`},
		{`{"type": "object", "properties": {"n": {"type": "number"}}, "required": ["n"]}`, `{"other": 1, "n": "1"}`, `{"other": 1, "n": 1.0}`},
		{listOf(`{"type": "object"}`), `[{"a": 1}, {}]`, `[{"a": 1}, {}]`},
		{`{"type": "object", "x-cog-any": true}`, `3`, `3`},
		{`{"type": "object", "x-cog-any": true}`, `null`, `null`},
		{`{}`, `"text"`, `"text"`},

		{intOrString, `1`, `1`},
		{intOrString, `"1"`, `"1"`},
		{intOrString, `2.0`, `2`},
		{`{"anyOf": [{"type": "integer"}, {"type": "number"}]}`, `1`, `1`},
		{`{"anyOf": [{"type": "integer"}, {"type": "number"}]}`, `1.0`, `1.0`},
		{`{"anyOf": [{"type": "number"}, {"type": "integer"}]}`, `1`, `1`},
		{`{"anyOf": [{"type": "number"}, {"type": "string"}]}`, `1`, `1.0`},
		{`{"anyOf": [{"type": "boolean"}, {"type": "integer"}]}`, `1`, `1`},
		{`{"anyOf": [{"type": "integer"}, {"type": "boolean"}]}`, `true`, `true`},
		{`{"anyOf": [{"type": "integer"}, {"type": "string"}], "nullable": true}`, `null`, `null`},
		{`{"anyOf": [` + listOf(intSchema) + `, {"type": "string"}]}`, `[1]`, `[1]`},
	} {
		t.Run(row.schema+" "+clip(row.value), func(t *testing.T) {
			in := inputOf(t, `"v": `+row.schema)
			raw := `{"v": ` + row.value + `}`
			got := accept(t, in, raw)
			if want := `{"v": ` + row.want + `}`; string(got.Input) != want {
				t.Errorf("Input = %s\nwant    %s", got.Input, want)
			}
			again := accept(t, in, string(got.Input))
			if string(again.Input) != string(got.Input) {
				t.Errorf("checked again, Input became %s", again.Input)
			}
		})
	}
}

func clip(s string) string { return s[:min(len(s), 60)] }

func TestAValueOfAnotherTypeIsRefused(t *testing.T) {
	path := "must be an http://, https:// or data: URL"
	for _, row := range []struct{ schema, value, kind, msg string }{
		{intSchema, `5.5`, "int_from_float", "must be an integer; got 5.5"},
		{intSchema, `"5.5"`, "int_parsing", `must be an integer; got "5.5"`},
		{intSchema, `"abc"`, "int_parsing", `must be an integer; got "abc"`},
		{intSchema, `""`, "int_parsing", `must be an integer; got ""`},
		{intSchema, `"1e3"`, "int_parsing", `must be an integer; got "1e3"`},
		{intSchema, `"0x10"`, "int_parsing", `must be an integer; got "0x10"`},
		{intSchema, `"1_000"`, "int_parsing", `must be an integer; got "1_000"`},
		{intSchema, `"--1"`, "int_parsing", `must be an integer; got "--1"`},
		{intSchema, `true`, "int_type", "must be an integer; got true"},
		{intSchema, `null`, "int_type", "must be an integer; got null"},
		{intSchema, `[1]`, "int_type", "must be an integer; got a list"},
		{intSchema, `{}`, "int_type", "must be an integer; got an object"},
		{intSchema, `1e-400000000`, "int_from_float", "must be an integer; got 1e-400000000"},
		{floatSchema, `"nan"`, "float_parsing", `must be a number; got "nan"`},
		{floatSchema, `"inf"`, "float_parsing", `must be a number; got "inf"`},
		{floatSchema, `"-Infinity"`, "float_parsing", `must be a number; got "-Infinity"`},
		{floatSchema, `"1e999"`, "finite_number", `must be a finite 64-bit float; got "1e999"`},
		{floatSchema, `"."`, "float_parsing", `must be a number; got "."`},
		{floatSchema, `"1e"`, "float_parsing", `must be a number; got "1e"`},
		{floatSchema, `"1e+-2"`, "float_parsing", `must be a number; got "1e+-2"`},
		{floatSchema, `false`, "float_type", "must be a number; got false"},
		{boolSchema, `2`, "bool_parsing", "must be a boolean; got 2"},
		{boolSchema, `"maybe"`, "bool_parsing", `must be a boolean; got "maybe"`},
		{boolSchema, `null`, "bool_type", "must be a boolean; got null"},
		{boolSchema, `[true]`, "bool_type", "must be a boolean; got a list"},
		{stringSchema, `5`, "string_type", "must be a string; got 5"},
		{stringSchema, `true`, "string_type", "must be a string; got true"},
		{stringSchema, `null`, "string_type", "must be a string; got null"},
		{stringSchema, `["a"]`, "string_type", "must be a string; got a list"},
		{secretSchema, `5`, "string_type", "must be a string; got a number"},
		{pathSchema, `5`, "string_type", path + "; got 5"},
		{pathSchema, `""`, "url_parsing", path + `; got ""`},
		{pathSchema, `"/etc/passwd"`, "url_parsing", path + `; got "/etc/passwd"`},
		{pathSchema, `"file:///etc/passwd"`, "url_parsing", path + `; got "file:///etc/passwd"`},
		{pathSchema, `"ftp://example.com/x"`, "url_parsing", path + `; got "ftp://example.com/x"`},
		{pathSchema, `"https://"`, "url_parsing", path + `; got "https://"`},
		{pathSchema, `"https:/x"`, "url_parsing", path + `; got "https:/x"`},
		{pathSchema, `"data:text/plain"`, "url_parsing", path + `; got "data:text/plain"`},
		{`{"allOf": [{"$ref": "#/components/schemas/Shade"}]}`, `"grey"`, "enum", `must be one of: dark, light; got "grey"`},
		{`{"allOf": [{"$ref": "#/components/schemas/Size"}]}`, `3`, "enum", "must be one of: 1, 2, 30; got 3"},
		{`{"allOf": [{"$ref": "#/components/schemas/Size"}]}`, `true`, "int_type", "must be an integer; got true"},
		{`{"enum": [true, 1]}`, `"1"`, "enum", `must be one of: true, 1; got "1"`},
		{`{"type": "boolean", "enum": [true]}`, `false`, "enum", "must be one of: true; got false"},
		{listOf(stringSchema), `"abc"`, "list_type", `must be a list; got "abc"`},
		{listOf(stringSchema), `{"0": "a"}`, "list_type", "must be a list; got an object"},
		{`{"type": "object"}`, `"abc"`, "dict_type", `must be an object; got "abc"`},
		{`{"type": "object"}`, `[]`, "dict_type", "must be an object; got a list"},
		{`{"type": "object"}`, `null`, "dict_type", "must be an object; got null"},
		{intOrString, `true`, "union", "must be an integer or a string; got true"},
		{intOrString, `null`, "union", "must be an integer or a string; got null"},
		{intOrString, `1.5`, "int_from_float", "must be an integer; got 1.5"},
		{`{"anyOf": [{"type": "boolean"}, {"type": "integer"}]}`, `"true"`, "union", `must be a boolean or an integer; got "true"`},
		{`{"anyOf": [{"type": "integer"}, ` + pathSchema + `]}`, `"x.png"`, "url_parsing", path + `; got "x.png"`},
		{`{"anyOf": [` + pathSchema + `, {"type": "array"}, {"type": "object"}, {"type": "number"}]}`, `true`, "union",
			"must be an http://, https:// or data: URL or a list or an object or a number; got true"},
	} {
		t.Run(row.schema+" "+row.value, func(t *testing.T) {
			problems := refuse(t, inputOf(t, `"v": `+row.schema), `{"v": `+row.value+`}`)
			if len(problems) != 1 || problems[0].Type != row.kind || problems[0].Msg != row.msg {
				t.Errorf("problems = %+v\nwant      %s: %s", problems, row.kind, row.msg)
			}
		})
	}
}
