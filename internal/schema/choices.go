package schema

import (
	"bytes"
	"crypto/sha256"
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

// canonical returns the same text for all spellings of a value. That of a string begins with a
// quote, so that "1" and 1 differ.
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

// canonicalParts is canonical for lists and objects. It returns a hash, because quotes within
// quotes would double with each level. The order of keys does not matter. Keys beyond mostKeys are
// ignored, because such an object is refused anyway.
func canonicalParts(value []byte) string {
	s := jsonscan.Scanner{Text: value, MaxDepth: maxDepth}
	part := func(v jsonscan.Span) [sha256.Size]byte {
		return sha256.Sum256([]byte(canonical(value[v.Start:v.End])))
	}
	whole := sha256.New()
	if value[0] == '[' {
		_ = s.Array(func(item jsonscan.Span) {
			hash := part(item)
			whole.Write(hash[:])
		})
		return "[" + string(whole.Sum(nil))
	}
	pairs := map[[sha256.Size]byte][sha256.Size]byte{}
	_ = s.Object(func(m jsonscan.Member) {
		if len(pairs) <= mostKeys {
			pairs[part(m.Key)] = part(m.Value)
		}
	})
	compare := func(a, b [sha256.Size]byte) int { return bytes.Compare(a[:], b[:]) }
	for _, key := range slices.SortedFunc(maps.Keys(pairs), compare) {
		value := pairs[key]
		whole.Write(key[:])
		whole.Write(value[:])
	}
	return "{" + string(whole.Sum(nil))
}
