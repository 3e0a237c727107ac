package jsonscan_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/coggo/coggo/internal/jsonscan"
)

func scanner(text string) *jsonscan.Scanner {
	return &jsonscan.Scanner{Text: []byte(text), MaxDepth: 3}
}

// whole reports whether text is one JSON value and nothing more.
func whole(text string) bool {
	s := scanner(text)
	_, err := s.Value()
	s.Space()
	return err == nil && s.Pos == len(text)
}

func TestTheScannerTakesTheSyntaxOfTheStandardLibrary(t *testing.T) {
	for _, text := range []string{
		`1`, `-0`, `01`, `-`, `1.`, `.5`, `1.5`, `1e5`, `1E+5`, `1e`, `1e+`, `+1`, `NaN`,
		`true`, `tru`, `null`, `nul`, `false`, `"a"`, `"a`, `"\n\/"`, `"\x"`, `"\u00e9"`, `"\u00g9"`,
		`"\u00e`, "\"\t\"", "\"\x1f\"", `[]`, `[1, 2 ]`, `[1,]`, `[,1]`, `[1 2]`, `[`, `{}`, `{"a":1}`,
		`{"a" : [1, {"b": null}]}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, `{1:1}`, ``, ` `, ` 1 `, `1 1`,
	} {
		if got, want := whole(text), json.Valid([]byte(text)); got != want {
			t.Errorf("%q: valid = %v, want %v", text, got, want)
		}
	}
}

func TestDeepNestingIsAnErrorWithTheLimit(t *testing.T) {
	if _, err := scanner(`[[[1]]]`).Value(); err != nil {
		t.Errorf("three levels: %v", err)
	}
	_, err := scanner(`[[[[1]]]]`).Value()
	if err == nil || !strings.Contains(err.Error(), "more than 3 levels") {
		t.Errorf("four levels: %v", err)
	}
}

func TestPairsAndItemsAreShownWithTheirPlaces(t *testing.T) {
	text := `{ "a" : 1, "b": [ 2 , "c" ] }`
	var got []string
	err := scanner(text).Object(func(m jsonscan.Member) {
		got = append(got, text[m.Key.Start:m.Key.End], text[m.Value.Start:m.Value.End])
	})
	if want := []string{`"a"`, `1`, `"b"`, `[ 2 , "c" ]`}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("pairs = %q, %v", got, err)
	}
	got, text = nil, `[ 2 , "c" ]`
	err = scanner(text).Array(func(v jsonscan.Span) { got = append(got, text[v.Start:v.End]) })
	if want := []string{`2`, `"c"`}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("items = %q, %v", got, err)
	}
}

func TestAFlawBelongsToItsPairAndNotUnicodeWins(t *testing.T) {
	long := strings.Repeat("9", jsonscan.MaxDigits+1)
	for _, row := range []struct{ value, kind string }{
		{`1`, ""},
		{long[1:], ""},
		{long, "int_parsing_size"},
		{`-` + long, "int_parsing_size"},
		{`1e308`, ""},
		{`1e309`, "finite_number"},
		{strings.Repeat("9", 310) + ".0", "finite_number"},
		{`"\ud83d\ude00"`, ""},
		{`"\ud83d"`, "string_unicode"},
		{`"\ude00\ud83d"`, "string_unicode"},
		{"\"\xff\"", "string_unicode"},
		{`[1e309, "\ud83d"]`, "string_unicode"},
		{`["\ud83d", 1e309]`, "string_unicode"},
		{`[` + long + `, 1e309]`, "int_parsing_size"},
	} {
		kinds := map[string]string{}
		text := `{"v": ` + row.value + `, "next": 1}`
		err := scanner(text).Object(func(m jsonscan.Member) {
			if m.Flaw != nil {
				kinds[text[m.Key.Start:m.Key.End]] = m.Flaw.Kind
			}
		})
		if err != nil || kinds[`"v"`] != row.kind || kinds[`"next"`] != "" {
			t.Errorf("%.40s: flaws %v, %v; want %q", row.value, kinds, err, row.kind)
		}
	}
}

func TestTextIsUnquotedAsTheStandardLibraryDoes(t *testing.T) {
	for _, quoted := range []string{
		`""`, `"plain"`, `"é"`, `"\b\f\n\r\t\"\\\/"`, `"a\u00e9b"`, `"\ud83d\ude00!"`, `"\ud83dx"`, `"\ud83d\u0041"`,
	} {
		var want string
		if err := json.Unmarshal([]byte(quoted), &want); err != nil {
			t.Fatal(err)
		}
		if got := jsonscan.Unquote([]byte(quoted)); got != want {
			t.Errorf("%s: %q, want %q", quoted, got, want)
		}
	}
}

// A string ends, or its syntax breaks, at the right byte wherever that byte is in the text.
func TestAPlainRunEndsAtTheFirstSpecialByte(t *testing.T) {
	for c := range 256 {
		for at := range 70 {
			text := []byte(`"` + strings.Repeat("!", 70) + `"`)
			text[1+at] = byte(c)
			s := &jsonscan.Scanner{Text: text, MaxDepth: 1}
			v, err := s.Value()
			end := len(text)
			switch {
			case c == '"':
				end = at + 2
			case c == '\\' || c < ' ':
				if err == nil {
					t.Fatalf("byte %#x at %d was accepted", c, at)
				}
				continue
			}
			if err != nil || v.End != end {
				t.Fatalf("byte %#x at %d: end %d, %v; want %d", c, at, v.End, err, end)
			}
		}
	}
}

func BenchmarkLongString(b *testing.B) {
	text := []byte(`"` + strings.Repeat("QUJD", 4<<20) + `"`)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		s := jsonscan.Scanner{Text: text, MaxDepth: 1}
		if _, err := s.Value(); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleScanner_Object() {
	text := []byte(`{"prompt": "a cat", "steps": 20}`)
	s := jsonscan.Scanner{Text: text, MaxDepth: 10}
	_ = s.Object(func(m jsonscan.Member) {
		key, value := text[m.Key.Start:m.Key.End], text[m.Value.Start:m.Value.End]
		fmt.Println(jsonscan.Unquote(key), "is", string(value))
	})
	// Output:
	// prompt is "a cat"
	// steps is 20
}
