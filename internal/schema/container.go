package schema

import (
	"fmt"

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
	if len(n.properties) == 0 && len(n.required) == 0 && n.additional == nil && !n.closed {
		return
	}
	var members []jsonscan.Member
	s := jsonscan.Scanner{Text: w.raw[:v.End], Pos: v.Start, MaxDepth: maxDepth}
	_ = s.Object(func(m jsonscan.Member) { members = append(members, m) })
	w.members(n, members, r)
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
	for _, name := range n.required {
		if _, ok := last[name]; !ok {
			w.path = append(w.path, step{key: name})
			w.add("missing", "Field required")
			w.path = w.path[:len(w.path)-1]
		}
	}
}

// member walks one pair and reports whether it stays in the input.
func (w *walk) member(n *node, key string, m jsonscan.Member, counts bool, r rule) bool {
	inner, known := n.properties[key]
	if !known {
		inner = n.additional
	}
	switch {
	case m.Flaw != nil:
		w.add(m.Flaw.Kind, m.Flaw.Msg)
	case !counts && inner != nil && inner.hides:
		w.echo = append(w.echo, edit{m.Value, mask})
	case !counts:
	case inner != nil:
		w.value(inner, m.Value, r)
	case n.dropUnknown:
		w.unknown = append(w.unknown, key)
		return false
	case n.closed:
		w.add("extra_forbidden", "is not a key of this object")
	}
	return counts
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
	if n.items == nil && n.minItems == nil && n.maxItems == nil {
		return
	}
	count := 0
	s := jsonscan.Scanner{Text: w.raw[:v.End], Pos: v.Start, MaxDepth: maxDepth}
	_ = s.Array(func(item jsonscan.Span) {
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
