package schema_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/coggo/coggo/internal/schema"
)

func TestConstraintsHoldForAcceptedValuesAndNameTheBoundForOthers(t *testing.T) {
	const (
		most   = `{"type": "integer", "minimum": 0, "maximum": 18446744073709551615}`
		ratio  = `{"type": "number", "minimum": 0.1, "maximum": 18446744073709551615}`
		word   = `{"type": "string", "minLength": 2, "maxLength": 3}`
		letter = `{"type": "string", "maxLength": 1}`
		some   = `{"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1, "maxItems": 2}`
	)
	for _, row := range []struct{ schema, value, kind, msg string }{
		{most, `0`, "", ""},
		{most, `18446744073709551615`, "", ""},
		{most, `-1`, "greater_than_equal", "must be at least 0; got -1"},
		{most, `"-1"`, "greater_than_equal", `must be at least 0; got "-1"`},
		{most, `18446744073709551616`, "less_than_equal", "must be at most 18446744073709551615; got 18446744073709551616"},
		{`{"type": "integer", "minimum": 0.5}`, `1`, "", ""},
		{`{"type": "integer", "minimum": 0.5}`, `0`, "greater_than_equal", "must be at least 0.5; got 0"},
		{ratio, `0.1`, "", ""},
		{ratio, `0.09`, "greater_than_equal", "must be at least 0.1; got 0.09"},
		{ratio, `18446744073709551614`, "less_than_equal", "must be at most 18446744073709551615; got 18446744073709551614"},
		{ratio, `18446744073709549568`, "", ""},
		{`{"type": "number", "minimum": 1, "nullable": true}`, `null`, "", ""},

		{word, `"ab"`, "", ""},
		{word, `"äöü"`, "", ""},
		{word, `"a"`, "string_too_short", "must have at least 2 characters; got 1"},
		{word, `"abcd"`, "string_too_long", "must have at most 3 characters; got 4"},
		{letter, `"😀"`, "", ""},
		{letter, `"\ud83d\ude00"`, "", ""},
		{letter, `"\n"`, "", ""},
		{letter, `"e\u0301"`, "string_too_long", "must have at most 1 character; got 2"},

		{some, `[1]`, "", ""},
		{some, `[]`, "too_short", "must have at least 1 item; got 0"},
		{some, `[1, 2, 3]`, "too_long", "must have at most 2 items; got 3"},
		{some, `[1, 0]`, "greater_than_equal", "must be at least 1; got 0"},

		{`{"type": "object", "properties": {"a": {}}, "required": ["a"]}`, `{"b": 1}`, "missing", "Field required"},
		{`{"type": "object", "properties": {"a": {}}, "additionalProperties": false}`, `{"a": 1, "b": 1}`, "extra_forbidden", "is not a key of this object"},
		{`{"type": "object", "additionalProperties": {"type": "string"}}`, `{"b": 1}`, "string_type", "must be a string; got 1"},
		{`{"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string"}]}`, `0`, "greater_than_equal", "must be at least 1; got 0"},
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

func TestPatternsMatchAsInPython(t *testing.T) {
	for _, row := range []struct {
		pattern, value string
		matches        bool
	}{
		{`b`, "abc", true},
		{`^b`, "abc", false},
		{`^abc$`, "abc", true},
		{`^abc$`, "abc\n", false},
		{`^abc\Z`, "abc\n", false},
		{`^abc\Z`, "abc", true},
		{`(?m)^b$`, "a\nb\nc", true},
		{`^(?=.*\d)(?!x).+$`, "ab1", true},
		{`^(?=.*\d)(?!x).+$`, "xb1", false},
		{`(?P<c>.)(?P=c)`, "xaay", true},
		{`^(?P<c>.)(?P=c)$`, "ab", false},
		{`^a{,2}$`, "aa", true},
		{`^a{,2}$`, "aaa", false},
		{`^[a[]+$`, "a[a", true},
		{`^[]$]+$`, "]$", true},
		{`^[^]\\a]+$`, "]", false},
		{`^[\w\-\_]+$`, "a_-é", true},
		{`\_`, "_", true},
		{`[\U0001F600-\U0001F64F]`, "😀", true},
		{`^\U0001F600$`, "😁", false},
		{`(?i)ABC`, "xabcx", true},
		{`(?u)\w`, "é", true},
		{`^\d+$`, "12", true},
		{`^\$$`, "$", true},
		{`^.$`, "😀", true},
		{``, "", true},
		{`(?<!a)b`, "ab", false},
		{`^(a|b)*?c$`, "ababc", true},
	} {
		t.Run(row.pattern, func(t *testing.T) {
			pattern, _ := json.Marshal(row.pattern)
			value, _ := json.Marshal(row.value)
			_, problems := inputOf(t, `"v": {"type": "string", "pattern": `+string(pattern)+`}`).Check(
				json.RawMessage(`{"v": ` + string(value) + `}`))
			if matches := problems == nil; matches != row.matches {
				t.Errorf("%q matches %q: %v", row.pattern, row.value, matches)
			}
			if !row.matches && (problems[0].Type != "string_pattern_mismatch" || !strings.Contains(problems[0].Msg, row.pattern)) {
				t.Errorf("problems = %+v", problems)
			}
		})
	}
}

func TestAPatternThatBacktracksForEverEndsInAProblem(t *testing.T) {
	in := inputOf(t, `"v": {"type": "array", "items": {"type": "string", "pattern": "^(a+)+$"}}`)
	item := `"` + strings.Repeat("a", 60) + `!"`
	problems := refuse(t, in, `{"v": [`+strings.Repeat(item+", ", 50)+item+`]}`)
	if problems[0].Type != "string_pattern_timeout" || !strings.Contains(problems[0].Msg, "^(a+)+$") {
		t.Errorf("problems[0] = %+v", problems[0])
	}
}

func TestAllBadFieldsAreListedAtOnceInTheClientsOrder(t *testing.T) {
	in := inputOf(t, `"text": {"type": "string"}, "n": {"type": "integer", "minimum": 1}, "xs": {"type": "array", "items": {"type": "number"}},
		"box": {"type": "object", "properties": {"w": {"type": "integer"}}, "required": ["w", "h"]}, "late": {}`,
		`, "required": ["text", "late", "n"]`)
	problems := refuse(t, in, `{"xs": [1, "x", null], "n": 0, "box": {"w": true}, "extra": 1}`)
	want := []schema.Problem{
		{[]any{"body", "input", "xs", 1}, `must be a number; got "x"`, "float_parsing"},
		{[]any{"body", "input", "xs", 2}, "must be a number; got null", "float_type"},
		{[]any{"body", "input", "n"}, "must be at least 1; got 0", "greater_than_equal"},
		{[]any{"body", "input", "box", "w"}, "must be an integer; got true", "int_type"},
		{[]any{"body", "input", "box", "h"}, "Field required", "missing"},
		{[]any{"body", "input", "text"}, "Field required", "missing"},
		{[]any{"body", "input", "late"}, "Field required", "missing"},
	}
	if !reflect.DeepEqual(problems, want) {
		t.Errorf("problems = %+v\nwant      %+v", problems, want)
	}
	body, err := json.Marshal(problems[0])
	if err != nil || string(body) != `{"loc":["body","input","xs",1],"msg":"must be a number; got \"x\"","type":"float_parsing"}` {
		t.Errorf("as JSON: %s, %v", body, err)
	}
}

func TestProblemsAreBoundedInNumberAndLength(t *testing.T) {
	in := inputOf(t, `"xs": {"type": "array", "items": {"type": "integer"}}, "map": {"type": "object", "additionalProperties": {"type": "integer"}}`)
	problems := refuse(t, in, `{"xs": [`+strings.Repeat(`"x", `, 5000)+`1]}`)
	if len(problems) != 100 || problems[99].Type != "too_many_errors" {
		t.Errorf("%d problems, the last is %+v", len(problems), problems[len(problems)-1])
	}
	long := strings.Repeat("ä", 5000)
	problems = refuse(t, in, fmt.Sprintf(`{"xs": %q, "map": {%q: []}}`, long, long))
	for _, p := range problems {
		if body, _ := json.Marshal(p); len(body) > 400 {
			t.Errorf("a problem of %d bytes: %.500s", len(body), body)
		}
	}
}

func TestEscapesStandForTheirCharacters(t *testing.T) {
	in := inputOf(t, `"v": {"enum": ["\u0008\u000c\n\r\t\"\\/é😀"]}`)
	accept(t, in, `{"v": "\b\f\u000a\u000D\t\u0022\\\/\u00e9\uD83D\uDE00"}`)
	refuse(t, in, `{"v": "\b\f\n\r\t\"\\\\/é😀"}`)
}

func TestListsWithinListsAreToldApartAtAnyDepth(t *testing.T) {
	deep := func(inner string) string { return strings.Repeat("[", 200) + inner + strings.Repeat("]", 200) }
	doc, err := schema.Parse([]byte(`{"components": {"schemas": {"Input": {"type": "object", "properties": {"v": {"type": "array", "uniqueItems": true}}}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for value, fits := range map[string]bool{
		deep(`"a"`) + "," + deep(`"b"`):          true,
		deep(`"a"`) + "," + deep(`"a"`):          false,
		`[1], [1.0]`:                             false,
		`{"a": [1], "b": 2}, {"b": 2, "a": [1]}`: false,
		`["1"], [1]`:                             true,
		`["a", "b"], [["a", "b"]]`:               true,
	} {
		_, problems := doc.Predict().Check([]byte(`{"v": [` + value + `]}`))
		if fits != (len(problems) == 0) {
			t.Errorf("%.60s: %v", value, problems)
		}
	}
}
