package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
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
		shown = append(shown, clip(strings.TrimPrefix(key, `"`), maxShown))
	}
	c.shown = clip(strings.Join(shown, ", "), 10*maxShown)
	return c, nil
}

// canonical returns the same text for spellings of the same scalar. The text of a string follows a quote, so that "1"
// and 1 differ.
func canonical(value []byte) string {
	if value[0] == '"' {
		return `"` + jsonscan.Unquote(value)
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
