package schema

import "fmt"

// root walks the whole input. Only here can the text turn out not to be JSON; the walks below repeat what this one read.
func (w *walk) root(n *node) {
	s := scanner{text: w.raw}
	s.space()
	v := span{start: s.pos}
	var members []member
	var err error
	if s.peek() == '{' {
		err = s.object(func(m member) { members = append(members, m) })
	} else {
		_, err = s.value()
	}
	v.end = s.pos
	if s.space(); err == nil && s.pos < len(s.text) {
		err = s.unexpected()
	}
	switch {
	case err != nil:
		w.add("json_invalid", "is not valid JSON: "+err.Error())
	case w.raw[v.start] != '{':
		w.refuse(n, v, "dict_type", "must be an object")
	default:
		w.members(n, members, lenient)
	}
}

func (w *walk) object(n *node, v span, r rule) {
	if w.raw[v.start] != '{' {
		w.refuse(n, v, "dict_type", "must be an object")
		return
	}
	if len(n.properties) == 0 && len(n.required) == 0 && n.additional == nil && !n.closed {
		return
	}
	var members []member
	s := scanner{text: w.raw[:v.end], pos: v.start}
	_ = s.object(func(m member) { members = append(members, m) })
	w.members(n, members, r)
}

// members walks the pairs of an object. Of a repeated key the last pair counts and the others are dropped.
func (w *walk) members(n *node, members []member, r rule) {
	last := make(map[string]int, len(members))
	for i, m := range members {
		last[unquote(w.text(m.key))] = i
	}
	kept := 0
	for i, m := range members {
		key := unquote(w.text(m.key))
		w.path = append(w.path, step{key: key})
		if w.member(n, key, m, last[key] == i, r) {
			kept++
		} else {
			w.drop(members, i, kept > 0)
		}
		w.path = w.path[:len(w.path)-1]
	}
	for _, name := range n.required {
		if _, ok := last[name]; !ok {
			w.path = append(w.path, step{key: name})
			w.add("missing", "Field required")
			w.path = w.path[:len(w.path)-1]
		}
	}
}

// member walks one pair and reports whether it stays in the input.
func (w *walk) member(n *node, key string, m member, counts bool, r rule) bool {
	inner, known := n.properties[key]
	if !known {
		inner = n.additional
	}
	switch {
	case m.flaw != nil:
		w.add(m.flaw.kind, m.flaw.msg)
	case !counts && inner != nil && inner.hides:
		w.echo = append(w.echo, edit{m.value, mask})
	case !counts:
	case inner != nil:
		w.value(inner, m.value, r)
	case n.dropUnknown:
		w.unknown = append(w.unknown, key)
		return false
	case n.closed:
		w.add("extra_forbidden", "is not a key of this object")
	}
	return counts
}

// drop removes a pair and one comma: the one before it, or the one after it while no pair before it stays.
func (w *walk) drop(members []member, i int, afterKept bool) {
	gone := span{members[i].key.start, members[i].value.end}
	switch {
	case afterKept:
		gone.start = members[i-1].value.end
	case i+1 < len(members):
		gone.end = members[i+1].key.start
	}
	w.input = append(w.input, edit{gone, ""})
}

func (w *walk) array(n *node, v span, r rule) {
	if w.raw[v.start] != '[' {
		w.refuse(n, v, "list_type", "must be a list")
		return
	}
	if n.items == nil && n.minItems == nil && n.maxItems == nil {
		return
	}
	count := 0
	s := scanner{text: w.raw[:v.end], pos: v.start}
	_ = s.array(func(item span) {
		if n.items != nil {
			w.path = append(w.path, step{index: count, inArray: true})
			w.value(n.items, item, r)
			w.path = w.path[:len(w.path)-1]
		}
		count++
	})
	if n.minItems != nil && count < *n.minItems {
		w.add("too_short", fmt.Sprintf("must have at least %s; got %d", plural(*n.minItems, "item"), count))
	}
	if n.maxItems != nil && count > *n.maxItems {
		w.add("too_long", fmt.Sprintf("must have at most %s; got %d", plural(*n.maxItems, "item"), count))
	}
}
