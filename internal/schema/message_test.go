package schema_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// The same mistake has the same message here and in Python, which checks direct calls, defaults
// and outputs: tests/sdk/test_messages.py reads the same table.
func TestTheMessageIsThatOfPython(t *testing.T) {
	text, err := os.ReadFile("../../tests/sdk/messages.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		Input, Message string
		Schema, Value  json.RawMessage
	}
	if err := json.Unmarshal(text, &rows); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		input, raw := inputOf(t, `"x": `+string(row.Schema), `, "required": ["x"]`), `{}`
		if row.Value != nil {
			raw = `{"x": ` + string(row.Value) + `}`
		}
		message, _, _ := strings.Cut(refuse(t, input, raw)[0].Msg, "; got ")
		if message != row.Message {
			t.Errorf("%s of %s: %q, want %q", row.Input, raw, message, row.Message)
		}
	}
}
