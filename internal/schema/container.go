package schema

import (
	"fmt"
	"maps"
	"slices"

	"github.com/coggo/coggo/internal/jsonscan"
)

// root walks the whole input. Only here can the text turn out not to be JSON; the walks below repeat what this one read.
func (w *walk) root(n *node) {
	s := jsonscan.Scanner{Text: w.raw, MaxDepth: maxDepth}
	s.Space()
	v := jsonscan.Span{Start: s.Pos}
	var members []jsonscan.Member
	var err error
	if s.Peek() == '{' {
		err = s.Object(func(m jsonscan.Member) { members = append(members, m) })
	} else {
		_, err = s.Value()
	}
	v.End = s.Pos
	if s.Space(); err == nil && s.Pos < len(s.Text) {
		err = s.Unexpected()
	}
	switch {
	case err != nil:
		w.add("json_invalid", "is not valid JSON: "+err.Error())
	case w.raw[v.Start] != '{':
		w.veiled = n.hides
		w.refuse(n, v, "dict_type", "must be an object")
	default:
		w.members(n, members, lenient)
	}
}

func (w *walk) object(n *node, v jsonscan.Span, r rule) {
	if w.raw[v.Start] != '{' {
		w.refuse(n, v, "dict_type", "must be an object")
		return
	}
	if n.enum != nil {
		w.choice(n, v, canonical(w.text(v)))
	}
	if !n.limitsKeys() {
		return
	}
	w.members(n, w.membersOf(v), r)
}

// limitsKeys reports whether n says anything of the keys of objects or of their values.
func (n *node) limitsKeys() bool {
	return len(n.properties) > 0 || len(n.required) > 0 || n.additional != nil || n.closed || n.patterns != nil ||
		n.names != nil || n.minKeys != nil || n.maxKeys != nil || n.needs != nil
}

// membersOf returns the pairs of the object at v, which was read before.
func (w *walk) membersOf(v jsonscan.Span) (members []jsonscan.Member) {
	s := jsonscan.Scanner{Text: w.raw[:v.End], Pos: v.Start, MaxDepth: maxDepth}
	_ = s.Object(func(m jsonscan.Member) { members = append(members, m) })
	return members
}

// find returns the value of a key of the object at v.
func (w *walk) find(v jsonscan.Span, key string) (value jsonscan.Span, ok bool) {
	for _, m := range w.membersOf(v) {
		if jsonscan.Unquote(w.text(m.Key)) == key && m.Flaw == nil {
			value, ok = m.Value, true
		}
	}
	return value, ok
}

// members walks the pairs of an object. Of a repeated key the last pair counts and the others are dropped.
func (w *walk) members(n *node, members []jsonscan.Member, r rule) {
	last := make(map[string]int, len(members))
	for i, m := range members {
		last[jsonscan.Unquote(w.text(m.Key))] = i
	}
	kept := 0
	for i, m := range members {
		key := jsonscan.Unquote(w.text(m.Key))
		w.path = append(w.path, step{key: key})
		if w.member(n, key, m, last[key] == i, r) {
			kept++
		} else {
			w.drop(members, i, kept > 0)
		}
		w.path = w.path[:len(w.path)-1]
	}
	w.demand(last, n.required)
	if len(n.needs) > 0 {
		for _, key := range slices.Sorted(maps.Keys(n.needs)) {
			if _, ok := last[key]; ok {
				w.demand(last, n.needs[key])
			}
		}
	}
	w.count(len(last), n.minKeys, n.maxKeys, "key")
}

// demand adds a problem for each key that is not there.
func (w *walk) demand(keys map[string]int, needed []string) {
	for _, name := range needed {
		if _, ok := keys[name]; !ok {
			w.path = append(w.path, step{key: name})
			w.add("missing", "Field required")
			w.path = w.path[:len(w.path)-1]
		}
	}
}

// count adds a problem when there are too few or too many.
func (w *walk) count(count int, least, most *int, noun string) {
	if least != nil && count < *least {
		w.add("too_short", fmt.Sprintf("must have at least %s; got %d", plural(*least, noun), count))
	}
	if most != nil && count > *most {
		w.add("too_long", fmt.Sprintf("must have at most %s; got %d", plural(*most, noun), count))
	}
}

// member walks one pair and reports whether it stays in the input.
func (w *walk) member(n *node, key string, m jsonscan.Member, counts bool, r rule) bool {
	if m.Flaw != nil {
		w.add(m.Flaw.Kind, m.Flaw.Msg)
		return counts
	}
	if !counts {
		return false
	}
	if n.names != nil {
		w.problems = append(w.problems, w.try(n.names, m.Key, exact).problems...)
	}
	schema, others, err := n.schemasOf(key, w)
	switch {
	case err != nil:
		w.add("string_pattern_timeout", err.Error())
	case schema != nil:
		w.value(schema, m.Value, r)
		for _, other := range others {
			w.problems = append(w.problems, w.try(other, m.Value, r).problems...)
		}
	case n.dropUnknown:
		w.unknown = append(w.unknown, key)
		return false
	case n.closed:
		w.add("extra_forbidden", "is not a key of this object")
	}
	return true
}

// schemasOf returns the schema of the value of a key, nil when nothing is said of it, and any others that it has to fit too.
func (n *node) schemasOf(key string, w *walk) (schema *node, others []*node, err error) {
	schema = n.properties[key]
	for _, p := range n.patterns {
		switch fits, err := w.search(p.key, key); {
		case err != nil:
			return nil, nil, err
		case fits && schema == nil:
			schema = p.value
		case fits:
			others = append(others, p.value)
		}
	}
	if schema == nil {
		schema = n.additional
	}
	return schema, others, nil
}

// drop removes a pair and one comma: the one before it, or the one after it while no pair before it stays.
func (w *walk) drop(members []jsonscan.Member, i int, afterKept bool) {
	gone := jsonscan.Span{Start: members[i].Key.Start, End: members[i].Value.End}
	switch {
	case afterKept:
		gone.Start = members[i-1].Value.End
	case i+1 < len(members):
		gone.End = members[i+1].Key.Start
	}
	w.input = append(w.input, edit{gone, ""})
}

func (w *walk) array(n *node, v jsonscan.Span, r rule) {
	if w.raw[v.Start] != '[' {
		w.refuse(n, v, "list_type", "must be a list")
		return
	}
	if n.enum != nil {
		w.choice(n, v, canonical(w.text(v)))
	}
	if n.items == nil && n.prefix == nil && n.minItems == nil && n.maxItems == nil && !n.unique && n.contains == nil {
		return
	}
	count, hits := 0, 0
	var seen map[string]bool
	if n.unique {
		seen = map[string]bool{}
	}
	s := jsonscan.Scanner{Text: w.raw[:v.End], Pos: v.Start, MaxDepth: maxDepth}
	_ = s.Array(func(item jsonscan.Span) {
		w.path = append(w.path, step{index: count, inArray: true})
		if schema := n.itemAt(count); schema != nil {
			w.value(schema, item, r)
		}
		if n.contains != nil && len(w.try(n.contains, item, exact).problems) == 0 {
			hits++
		}
		if n.unique {
			key := canonical(w.text(item))
			if seen[key] {
				w.add("unique", "is the same as an item before it")
			}
			seen[key] = true
		}
		w.path = w.path[:len(w.path)-1]
		count++
	})
	w.count(count, n.minItems, n.maxItems, "item")
	if n.contains != nil {
		w.count(hits, &n.minHits, n.maxHits, "item of a certain kind")
	}
}

// itemAt returns the schema of an item, nil when nothing is said of it.
func (n *node) itemAt(i int) *node {
	if i < len(n.prefix) {
		return n.prefix[i]
	}
	return n.items
}
