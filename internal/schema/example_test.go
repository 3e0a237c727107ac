package schema_test

import (
	"encoding/json"
	"fmt"

	"github.com/coggo/coggo/internal/schema"
)

func ExampleInput_Check() {
	document, err := schema.Parse([]byte(`{"components": {"schemas": {"Input": {
		"type": "object",
		"properties": {"prompt": {"type": "string"}, "steps": {"type": "integer", "maximum": 50}},
		"required": ["prompt"]
	}}}}`))
	if err != nil {
		panic(err)
	}
	input := document.Predict()

	checked, _ := input.Check(json.RawMessage(`{"prompt": "a cat", "steps": "20", "seed": 1}`))
	fmt.Println(string(checked.Input), checked.Unknown)

	_, problems := input.Check(json.RawMessage(`{"steps": 99}`))
	for _, p := range problems {
		fmt.Printf("%s: %s (%s)\n", p.Place(), p.Msg, p.Type)
	}
	// Output:
	// {"prompt": "a cat", "steps": 20} [seed]
	// steps: must be at most 50; got 99 (less_than_equal)
	// prompt: Field required (missing)
}
