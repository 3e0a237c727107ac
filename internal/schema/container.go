package schema

import (
	"fmt"
	"maps"
	"slices"

	"github.com/coggo/coggo/internal/jsonscan"
)

// root walks the whole input. Only root can find that the text is not JSON: the walks below read
// the same text again.
func (w *walk) root(n *node) {
	s := jsonscan.Scanner{Text: w.raw, MaxDepth: maxDepth}
	s.Space()
	v := jsonscan.Span{Start: s.Pos}
	var members []jsonscan.Member
	var err error
	if s.Peek() == '{' {
		err = s.Object(collect(&members))
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

// limitsKeys reports whether n has keywords about the keys of objects or about their values.
func (n *node) limitsKeys() bool {
	return len(n.properties) > 0 || len(n.required) > 0 || n.additional != nil || n.closed ||
		n.patterns != nil || n.names != nil || n.needs != nil ||
		n.minKeys != nil || n.maxKeys != nil
}

// mostKeys bounds the keys of an object, and the items of a list of unique ones, if the model has a
// schema for them: each takes much more memory than it has bytes.
const mostKeys = 100_000

// collect appends pairs, at most mostKeys+1.
func collect(members *[]jsonscan.Member) func(jsonscan.Member) {
	return func(m jsonscan.Member) {
		if len(*members) <= mostKeys {
			*members = append(*members, m)
		}
	}
}

// membersOf returns the pairs of the object at v, which was scanned before.
func (w *walk) membersOf(v jsonscan.Span) (members []jsonscan.Member) {
	w.eachOf(v, collect(&members))
	return members
}

// eachOf calls visit with each pair of the object at v.
func (w *walk) eachOf(v jsonscan.Span, visit func(jsonscan.Member)) {
	s := jsonscan.Scanner{Text: w.raw[:v.End], Pos: v.Start, MaxDepth: maxDepth}
	_ = s.Object(visit)
}

// find returns the value of a key of the object at v.
func (w *walk) find(v jsonscan.Span, key string) (value jsonscan.Span, ok bool) {
	w.eachOf(v, func(m jsonscan.Member) {
		if m.Flaw == nil && jsonscan.Unquote(w.text(m.Key)) == key {
			value, ok = m.Value, true
		}
	})
	return value, ok
}

// members walks the pairs of an object. Of a repeated key it keeps the last pair.
func (w *walk) members(n *node, members []jsonscan.Member, r rule) {
	if len(members) > mostKeys {
		w.add("too_long", fmt.Sprintf("must have at most %d keys", mostKeys))
		return
	}
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

// demand adds a problem for each key that is missing.
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
		w.add("too_short",
			fmt.Sprintf("must have at least %s; got %d", plural(*least, noun), count))
	}
	if most != nil && count > *most {
		w.add("too_long", fmt.Sprintf("must have at most %s; got %d", plural(*most, noun), count))
	}
}

// mostUnknown bounds how many dropped keys are listed.
const mostUnknown = 100

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
		w.also(n.names, m.Key, exact)
	}
	schema, others, err := n.schemasOf(key, w)
	switch {
	case err != nil:
		w.add("string_pattern_timeout", err.Error())
	case schema != nil:
		w.value(schema, m.Value, r)
		for _, other := range others {
			w.also(other, m.Value, r)
		}
	case n.dropUnknown:
		if len(w.unknown) < mostUnknown {
			w.unknown = append(w.unknown, key)
		}
		return false
	case n.closed:
		w.add("extra_forbidden", "is not a key of this object")
	}
	return true
}

// schemasOf returns the schema of the value of a key, nil if it hasn't one, and any others that the
// value must fit too.
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

// drop removes a pair and one comma: the one before it, or the one after it if it is the first that
// remains.
func (w *walk) drop(members []jsonscan.Member, i int, afterKept bool) {
	gone := jsonscan.Span{Start: members[i].Key.Start, End: members[i].Value.End}
	switch {
	case afterKept:
		gone.Start = members[i-1].Value.End
	case i+1 < len(members):
		gone.End = members[i+1].Key.Start
	}
	w.change(gone, "")
}

func (w *walk) array(n *node, v jsonscan.Span, r rule) {
	if w.raw[v.Start] != '[' {
		w.refuse(n, v, "list_type", "must be a list")
		return
	}
	if n.enum != nil {
		w.choice(n, v, canonical(w.text(v)))
	}
	if !n.limitsItems() {
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
		if n.contains != nil && w.fits(n.contains, item, exact) {
			hits++
		}
		if n.unique && len(seen) <= mostKeys {
			key := canonical(w.text(item))
			if seen[key] {
				w.add("unique", "is the same as an item before it")
			}
			seen[key] = true
		}
		w.path = w.path[:len(w.path)-1]
		count++
	})
	if len(seen) > mostKeys {
		w.add("too_long",
			fmt.Sprintf("must have at most %d items, because no two may be the same", mostKeys))
	}
	w.count(count, n.minItems, n.maxItems, "item")
	if n.contains != nil {
		w.count(hits, &n.minHits, n.maxHits, "item of a certain kind")
	}
}

// limitsItems reports whether n has keywords about the items of lists.
func (n *node) limitsItems() bool {
	return n.items != nil || n.prefix != nil || n.minItems != nil || n.maxItems != nil ||
		n.unique || n.contains != nil
}

// itemAt returns the schema of an item, nil if it hasn't one.
func (n *node) itemAt(i int) *node {
	if i < len(n.prefix) {
		return n.prefix[i]
	}
	return n.items
}
