package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/coggo/coggo/internal/jsonscan"
)

// choices is the set of values of an enum.
type choices struct {
	known map[string]bool // by canonical
	shown string
}

func newChoices(values []json.RawMessage) (*choices, error) {
	c := &choices{known: make(map[string]bool, len(values))}
	var shown []string
	for _, value := range values {
		var compact bytes.Buffer
		if err := json.Compact(&compact, value); err != nil {
			return nil, fmt.Errorf("enum: %w", err)
		}
		key := canonical(compact.Bytes())
		c.known[key] = true
		text := strings.TrimPrefix(key, `"`)
		if value := compact.Bytes(); value[0] == '[' || value[0] == '{' {
			text = string(value)
		}
		shown = append(shown, clip(text, maxShown))
	}
	c.shown = clip(strings.Join(shown, ", "), 10*maxShown)
	return c, nil
}

// canonical returns the same text for spellings of the same value. The text of a string follows a quote, so that "1"
// and 1 differ.
func canonical(value []byte) string {
	switch value[0] {
	case '"':
		return `"` + jsonscan.Unquote(value)
	case '[', '{':
		return canonicalParts(value)
	}
	if d, ok := parseDecimal(string(value)); ok {
		if whole, ok := d.integer(); ok {
			return whole
		}
		if f, err := strconv.ParseFloat(string(value), 64); err == nil {
			return strconv.FormatFloat(f, 'g', -1, 64)
		}
	}
	return string(value)
}

// canonicalParts is canonical for lists and objects, whose keys have no order.
func canonicalParts(value []byte) string {
	s := jsonscan.Scanner{Text: value, MaxDepth: maxDepth}
	part := func(v jsonscan.Span) string { return strconv.Quote(canonical(value[v.Start:v.End])) }
	if value[0] == '[' {
		var items []string
		_ = s.Array(func(item jsonscan.Span) { items = append(items, part(item)) })
		return "[" + strings.Join(items, ", ") + "]"
	}
	pairs := map[string]string{}
	_ = s.Object(func(m jsonscan.Member) { pairs[part(m.Key)] = part(m.Value) })
	var texts []string
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		texts = append(texts, key+": "+pairs[key])
	}
	return "{" + strings.Join(texts, ", ") + "}"
}
