package schema

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/coggo/coggo/internal/jsonscan"
)

// mask replaces the value of a secret wherever an input is shown.
const mask = `"**********"`

// mostSecrets bounds the secrets of an input, because the mask can be much longer than a secret.
const mostSecrets = 10_000

// masked returns a checked input with stars for its secrets; raw itself if the schema doesn't have
// secrets. A value is a secret if any member of a union says so, whichever member the model
// chooses. masked fails if there are more than mostSecrets.
func masked(root *node, raw json.RawMessage) (echo json.RawMessage, ok bool) {
	if !root.hides {
		return raw, true
	}
	s := jsonscan.Scanner{Text: raw, MaxDepth: maxDepth}
	s.Space()
	start := s.Pos
	_, _ = s.Value()
	m := masker{walk: walk{raw: raw}}
	m.value([]*node{root}, jsonscan.Span{Start: start, End: s.Pos})
	if len(m.spans) > mostSecrets {
		return nil, false
	}
	return apply(raw, m.edits()), true
}

// masker is a pass over an input that looks for secrets. It considers all schemas that a value may
// have.
type masker struct {
	walk
	spans []jsonscan.Span
}

func (m *masker) value(schemas []*node, v jsonscan.Span) {
	c := m.raw[v.Start]
	if c == 'n' || len(m.spans) > mostSecrets || !anyHides(schemas) {
		return
	}
	schemas = members(schemas)
	switch {
	case c == '"', slices.ContainsFunc(schemas, func(n *node) bool { return n.hidesAll(c) }):
		m.spans = append(m.spans, v)
	case c == '{':
		if pairs := m.membersOf(v); len(pairs) > mostKeys { // it was not checked
			m.spans = append(m.spans, v)
		} else {
			m.object(schemas, pairs)
		}
	case c == '[':
		m.array(schemas, v)
	}
}

// hidesAll reports whether a value that starts with c is a secret as a whole.
func (n *node) hidesAll(c byte) bool {
	return n.secret && (n.kind == anyType || n.anyOf != nil || n.takes(c))
}

func anyHides(schemas []*node) bool {
	return slices.ContainsFunc(schemas, func(n *node) bool { return n.hides })
}

// members returns schemas with the members of their unions.
func members(schemas []*node) (all []*node) {
	for _, n := range schemas {
		all = append(append(all, n), members(n.anyOf)...)
	}
	return all
}

// object looks for secrets in the pairs of an object. Values of a repeated key except the last were
// not checked, so they are masked.
func (m *masker) object(schemas []*node, pairs []jsonscan.Member) {
	last := make(map[string]int, len(pairs))
	for i, pair := range pairs {
		last[jsonscan.Unquote(m.text(pair.Key))] = i
	}
	for i, pair := range pairs {
		key := jsonscan.Unquote(m.text(pair.Key))
		found, known := m.under(schemas, key)
		switch {
		case !known && m.raw[pair.Value.Start] != 'n', last[key] != i && anyHides(found):
			m.spans = append(m.spans, pair.Value)
		default:
			m.value(found, pair.Value)
		}
	}
}

// under returns the schemas of the value of a key. A key without a schema is not known: it may be
// an alias of a secret. Inputs don't have aliases.
func (m *masker) under(schemas []*node, key string) (found []*node, known bool) {
	for _, n := range schemas {
		schema, others, err := n.schemasOf(key, &m.walk)
		if err != nil {
			return nil, false
		}
		if schema != nil {
			found = append(append(found, schema), others...)
		}
		known = known || n.dropUnknown
	}
	return found, known || len(found) > 0
}

func (m *masker) array(schemas []*node, v jsonscan.Span) {
	i := 0
	s := jsonscan.Scanner{Text: m.raw[:v.End], Pos: v.Start, MaxDepth: maxDepth}
	_ = s.Array(func(item jsonscan.Span) {
		var found []*node
		for _, n := range schemas {
			if schema := n.itemAt(i); schema != nil {
				found = append(found, schema)
			}
		}
		m.value(found, item)
		i++
	})
}

// edits replaces the spans by stars, in the order of the text and each place once.
func (m *masker) edits() (edits []edit) {
	slices.SortFunc(m.spans, func(a, b jsonscan.Span) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.End, a.End))
	})
	end := 0
	for _, span := range m.spans {
		if span.Start >= end {
			edits = append(edits, edit{span, mask})
			end = span.End
		}
	}
	return edits
}
