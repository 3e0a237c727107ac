package schema_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/coggo/coggo/internal/schema"
)

func TestAMissingInputIsReadAsAnEmptyOne(t *testing.T) {
	in := inputOf(t, `"v": {"type": "string", "default": "x"}`)
	for _, raw := range []json.RawMessage{nil, {}, json.RawMessage("null"), json.RawMessage(" null\n"), json.RawMessage("{}")} {
		checked, problems := in.Check(raw)
		if problems != nil || string(checked.Input) != "{}" || string(checked.MaskedInput) != "{}" {
			t.Errorf("Check(%q) = %s, %s, %v", raw, checked.Input, checked.MaskedInput, problems)
		}
	}
}

func TestAnInputThatNeedsNoChangeIsPassedOnWithoutACopy(t *testing.T) {
	raw := json.RawMessage(` { "v" : "a\u0062c", "n":1.50 , "o": {"b":1,"a":2} } `)
	checked := accept(t, inputOf(t, `"v": {"type": "string"}, "n": {"type": "number"}, "o": {"type": "object"}`), string(raw))
	if string(checked.Input) != string(raw) || string(checked.MaskedInput) != string(raw) {
		t.Errorf("Input = %s, MaskedInput = %s", checked.Input, checked.MaskedInput)
	}
	same, _ := inputOf(t, `"v": {}, "n": {}, "o": {}`).Check(raw)
	if &same.Input[0] != &raw[0] || &same.MaskedInput[0] != &raw[0] {
		t.Error("the bytes were copied")
	}
}

func TestUnknownAndRepeatedKeysAreDropped(t *testing.T) {
	in := inputOf(t, `"a": {"type": "integer"}, "b": {"type": "string"}`)
	for _, row := range []struct {
		raw, want string
		unknown   []string
	}{
		{`{"x": 1}`, `{}`, []string{"x"}},
		{`{"x": 1, "y": {"a": [2]}}`, `{}`, []string{"x", "y"}},
		{`{"x": 1, "a": 2}`, `{"a": 2}`, []string{"x"}},
		{`{ "a": 2 , "x": 1 }`, `{ "a": 2 }`, []string{"x"}},
		{`{"x": 1, "a": 2, "y": 3, "z": 4, "b": "c", "w": 5}`, `{"a": 2, "b": "c"}`, []string{"x", "y", "z", "w"}},
		{`{"a": "1", "A": 2}`, `{"a": 1}`, []string{"A"}},
		{`{"\u0061": "1"}`, `{"\u0061": 1}`, nil},
		{`{"x\n": 1}`, `{}`, []string{"x\n"}},
		{`{"a": 1, "a": 2}`, `{"a": 2}`, nil},
		{`{"a": "never a number", "b": "x", "\u0061": "2"}`, `{"b": "x", "\u0061": 2}`, nil},
		{`{"x": 1, "x": 2}`, `{}`, []string{"x"}},
	} {
		t.Run(row.raw, func(t *testing.T) {
			checked := accept(t, in, row.raw)
			if string(checked.Input) != row.want || !reflect.DeepEqual(checked.Unknown, row.unknown) {
				t.Errorf("Input = %s, Unknown = %q", checked.Input, checked.Unknown)
			}
			if string(checked.MaskedInput) != row.raw {
				t.Errorf("MaskedInput = %s; want what the client sent", checked.MaskedInput)
			}
		})
	}
}

func TestAModelThatTakesAnyKeywordGetsAll(t *testing.T) {
	in := inputOf(t, `"a": {"type": "integer"}`, `, "additionalProperties": true`)
	checked := accept(t, in, `{"x": 1, "a": "2"}`)
	if string(checked.Input) != `{"x": 1, "a": 2}` || checked.Unknown != nil {
		t.Errorf("Input = %s, Unknown = %q", checked.Input, checked.Unknown)
	}
}

func TestFilesAreListedWithTheirPointers(t *testing.T) {
	in := inputOf(t, `"image": `+pathSchema+`, "images": `+listOf(pathSchema)+`, "maybe": {"type": "string", "format": "uri", "nullable": true},
		"a/b~c": `+pathSchema+`, "either": {"anyOf": [{"type": "integer"}, `+pathSchema+`]}, "text": {"type": "string"},
		"map": {"type": "object", "additionalProperties": `+listOf(pathSchema)+`}`)
	checked := accept(t, in, `{"unknown": "https://h/0", "maybe": null, "text": "https://h/1", "image": "HTTPS://h/2", "map": {"k": ["data:,x"]},
		"images": ["http:\/\/h\/3", "Data:text/plain;base64,eA=="], "a/b~c": "https://h/4?q=1", "either": "https://h/5"}`)
	want := []schema.FileInput{
		{"/image", "HTTPS://h/2"},
		{"/map/k/0", "data:,x"},
		{"/images/0", "http://h/3"},
		{"/images/1", "Data:text/plain;base64,eA=="},
		{"/a~1b~0c", "https://h/4?q=1"},
		{"/either", "https://h/5"},
	}
	if !reflect.DeepEqual(checked.Files, want) {
		t.Errorf("Files = %q\nwant    %q", checked.Files, want)
	}
	if files := accept(t, in, `{"either": 3}`).Files; files != nil {
		t.Errorf("Files = %q for a number", files)
	}
}

func TestSecretsReachTheModelAndNothingElse(t *testing.T) {
	in := inputOf(t, `"token": `+secretSchema+`, "tokens": `+listOf(`{"type": "string", "x-cog-secret": true, "nullable": true}`)+`,
		"either": {"anyOf": [{"type": "integer"}, {"type": "string"}, `+secretSchema+`]}, "name": {"type": "string"},
		"account": {"type": "object", "properties": {"user": {"type": "string"}, "password": `+secretSchema+`}},
		"map": {"type": "object", "additionalProperties": `+secretSchema+`},
		"short": {"type": "string", "format": "password", "maxLength": 3, "pattern": "^x", "enum": ["xyz"]}`)
	const stars = `"**********"`
	for _, row := range []struct{ raw, echo string }{
		{`{"name": "hush"}`, `{"name": "hush"}`},
		{`{"token": "hush", "name": "n"}`, `{"token": ` + stars + `, "name": "n"}`},
		{`{"token": ""}`, `{"token": ` + stars + `}`},
		{`{"tokens": ["hush", null, "hush"]}`, `{"tokens": [` + stars + `, null, ` + stars + `]}`},
		{`{"either": "hush"}`, `{"either": ` + stars + `}`},
		{`{"either": 3}`, `{"either": 3}`},
		{`{"account": {"user": "u", "password": "hush"}}`, `{"account": {"user": "u", "password": ` + stars + `}}`},
		{`{"map": {"a": "hush"}}`, `{"map": {"a": ` + stars + `}}`},
		{`{"token": "hush", "token": "hush"}`, `{"token": ` + stars + `, "token": ` + stars + `}`},
		{`{"tokens": "hush", "account": "hush", "tokens": [], "account": {}}`,
			`{"tokens": ` + stars + `, "account": ` + stars + `, "tokens": [], "account": {}}`},
	} {
		t.Run(row.raw, func(t *testing.T) {
			checked := accept(t, in, row.raw)
			if string(checked.MaskedInput) != row.echo {
				t.Errorf("MaskedInput = %s\nwant   %s", checked.MaskedInput, row.echo)
			}
		})
	}
	if got := accept(t, in, `{"token": "hush"}`).Input; string(got) != `{"token": "hush"}` {
		t.Errorf("Input = %s", got)
	}
	for _, raw := range []string{
		`{"short": "hush"}`, `{"token": ["hush"]}`, `{"tokens": "hush"}`, `{"account": "hush"}`, `{"either": {"a": "hush"}}`,
		`{"account": {"password": {"x": "hush"}}}`, `"hush"`, `{"map": "hush"}`, `{"map": {"a": ["hush"]}}`,
	} {
		body, _ := json.Marshal(refuse(t, in, raw))
		if strings.Contains(string(body), "hush") {
			t.Errorf("Check(%s) showed the secret: %s", raw, body)
		}
	}
}

func TestJSONThatTheRunnerCannotReadIsRefusedAtAnyDepth(t *testing.T) {
	in := inputOf(t, `"text": {"type": "string"}, "any": {}, "n": {"type": "number"}`)
	for _, row := range []struct{ name, raw, kind string }{
		{"invalid UTF-8", "{\"text\": \"a\xffb\"}", "string_unicode"},
		{"a surrogate in UTF-8", "{\"text\": \"\xed\xa0\x80\"}", "string_unicode"},
		{"half a surrogate pair", `{"text": "\ud800"}`, "string_unicode"},
		{"a reversed surrogate pair", `{"text": "\ude00\ud83d"}`, "string_unicode"},
		{"half a pair before another escape", `{"text": "\ud83d\n"}`, "string_unicode"},
		{"half a pair in a nested value", `{"any": {"a": [{"b": "\udfff"}], "c": 1}}`, "string_unicode"},
		{"half a pair in a nested key", `{"any": {"\udfff": 1}}`, "string_unicode"},
		{"invalid UTF-8 in an unknown key", "{\"x\xff\": 1}", "string_unicode"},
		{"invalid UTF-8 under an unknown key", "{\"x\": \"\xff\"}", "string_unicode"},
		{"a float beyond 64 bits", `{"any": 1e999}`, "finite_number"},
		{"a long float beyond 64 bits", `{"any": [` + strings.Repeat("9", 400) + `.0]}`, "finite_number"},
		{"a long integer as a float", `{"n": ` + strings.Repeat("9", 400) + `}`, "finite_number"},
		{"an integer beyond Python's limit", `{"any": ` + strings.Repeat("9", 4301) + `}`, "int_parsing_size"},
		{"a negative one", `{"any": -` + strings.Repeat("9", 4301) + `}`, "int_parsing_size"},
	} {
		t.Run(row.name, func(t *testing.T) {
			problems := refuse(t, in, row.raw)
			if len(problems) != 1 || problems[0].Type != row.kind || len(problems[0].Loc) != 3 {
				t.Errorf("problems = %+v", problems)
			}
		})
	}
}

func TestBrokenJSONIsAProblemAndNeverACrash(t *testing.T) {
	in := inputOf(t, `"v": {}`)
	for _, raw := range []string{
		`{`, `{"v"`, `{"v":`, `{"v":1`, `{"v":1,`, `{"v":1,}`, `{"v" 1}`, `{v: 1}`, `{"v":1}}`, `{"v":1} x`, `[`, `[1,`, `[1,]`, `[1 2]`,
		`{"v": nul}`, `{"v": NaN}`, `{"v": Infinity}`, `{"v": -}`, `{"v": 01}`, `{"v": 1.}`, `{"v": .5}`, `{"v": 1e}`, `{"v": +1}`, `{"v": '1'}`,
		`{"v": "`, `{"v": "\`, `{"v": "\u`, `{"v": "\u00`, `{"v": "\x41"}`, `{"v": "\u00zz"}`, "{\"v\": \"\n\"}", "{\"v\": \"\x00\"}", `"`, `{"v": "\ud83d\u`,
		`{"v": ` + strings.Repeat("[", 300) + strings.Repeat("]", 300) + `}`,
		`{"v": ` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`,
		strings.Repeat(`{"v":`, 100_000),
		strings.Repeat("[", 100_000),
	} {
		problems := refuse(t, in, raw)
		if len(problems) != 1 || problems[0].Type != "json_invalid" || len(problems[0].Loc) != 2 {
			t.Errorf("Check(%.40s): %+v", raw, problems)
		}
	}
	deep := `{"v": ` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`
	if got := accept(t, in, deep).Input; string(got) != deep {
		t.Errorf("200 levels became %s", got)
	}
}

func TestAnInputThatIsNotAnObjectIsRefused(t *testing.T) {
	for _, raw := range []string{`[]`, `"x"`, `1`, `true`} {
		problems := refuse(t, inputOf(t, `"v": {}`), raw)
		if !reflect.DeepEqual(problems[0].Loc, []any{"body", "input"}) || problems[0].Type != "dict_type" {
			t.Errorf("Check(%s): %+v", raw, problems)
		}
	}
}

func TestALongDataURLIsPassedOnAsAFileOnly(t *testing.T) {
	in := inputOf(t, `"image": {"type": "string", "format": "uri"}`)
	url := "data:text/plain," + strings.Repeat("x", 5000)
	checked := accept(t, in, `{"image":"`+url+`"}`)
	if string(checked.Input) != `{"image":"data:"}` || string(checked.MaskedInput) != `{"image":"`+url+`"}` {
		t.Errorf("%.60s %.60s", checked.Input, checked.MaskedInput)
	}
	if len(checked.Files) != 1 || checked.Files[0].URL != url {
		t.Errorf("files: %.60v", checked.Files)
	}
}
