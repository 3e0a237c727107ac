package prediction_test

import (
	"encoding/json"
	"testing"

	"github.com/coggo/coggo/internal/prediction"
)

func digest(input string) any {
	r := prediction.Request{}
	if input != "" {
		r.Input = json.RawMessage(input)
	}
	return r.Digest()
}

func TestInputsThatAskForTheSameRunHaveOneDigest(t *testing.T) {
	for input, same := range map[string]string{
		"":                        "{ }",
		`{"a":1,"b":[2,"x"]}`:     "{ \"b\" : [2,\n\"x\"], \"a\": 1 }",
		`{"a":"é\n"}`:             `{"\u0061":"\u00e9\u000a"}`,
		`{"a":{"b":1,"c":null}}`:  `{"a":{"c":null,"b":1}}`,
		`{"a":[[],{},"",0,true]}`: `{"a":[ [ ], { }, "", 0, true ]}`,
	} {
		if digest(input) != digest(same) {
			t.Errorf("%s and %s have different digests", input, same)
		}
	}
}

func TestOtherInputsHaveOtherDigests(t *testing.T) {
	seen := map[any]string{}
	for _, input := range []string{
		`{}`, `{"a":1}`, `{"a":1.0}`, `{"a":"1"}`, `{"a":[1]}`, `{"a":{"1":1}}`, `{"a":null}`, `{"a":"null"}`, `{"b":1}`,
		`{"a":[[1],[2]]}`, `{"a":[[1,2]]}`, `{"a":[1,2]}`, `{"a":[12]}`, `{"a":["1","2"]}`, `{"a":["12"]}`, `{"a":["1:2"]}`,
		`{"a":1,"b":2}`, `{"a":2,"b":1}`, `{"a":{"b":1},"c":2}`, `{"a":{"b":1,"c":2}}`, `{"a":"]"}`, `{"a":[],"b":[]}`, `{"a":[[]]}`,
		`{"a":9007199254740993}`, `{"a":9007199254740992}`, `{"a":1,"a":2}`, `{"a":2,"a":1}`,
	} {
		if other, found := seen[digest(input)]; found {
			t.Errorf("%s and %s have the same digest", input, other)
		}
		seen[digest(input)] = input
	}
}
