package main

import (
	"encoding/json"
	"os"
	"testing"
)

// The command line calls types by the words of the page: tests/browser/test_form.py reads the same
// table.
func TestTypesHaveTheWordsOfThePage(t *testing.T) {
	text, err := os.ReadFile("../../tests/browser/kinds.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		Schema json.RawMessage
		Kind   string
	}
	if err := json.Unmarshal(text, &rows); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		var p property
		if err := json.Unmarshal(row.Schema, &p); err != nil {
			t.Fatal(err)
		}
		if got := p.kind(); got != row.Kind {
			t.Errorf("%s: %q, want %q", row.Schema, got, row.Kind)
		}
	}
}
