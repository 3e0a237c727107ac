package pool

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"slices"
	"strconv"
)

// Page sorts members, newest first. It returns up to limit of those that follow after, and the
// cursor of the next page, "" at the end. It may reorder members. It is not a method, so that its
// caller can sort without the lock of the pool.
func Page[M Member](members []M, after Cursor, limit int) (page []M, next string) {
	slices.SortFunc(members, func(a, b M) int {
		return cmp.Or(b.Accepted().Compare(a.Accepted()), cmp.Compare(a.ID(), b.ID()))
	})
	if after != (Cursor{}) {
		members = members[position(after, members):]
	}
	if len(members) > limit {
		next = cursorAt(members[limit-1]).String()
		members = members[:limit]
	}
	return members, next
}

// Cursor is the place of a member in the list. It stays valid when the member is forgotten. The
// zero Cursor is the beginning.
type Cursor struct {
	nanos int64
	id    string
}

func cursorAt[M Member](m M) Cursor { return Cursor{m.Accepted().UnixNano(), m.ID()} }

// String returns the form for a URL, whatever the id is.
func (c Cursor) String() string {
	return base64.RawURLEncoding.EncodeToString(strconv.AppendInt([]byte(c.id+"."), c.nanos, 36))
}

// ParseCursor reads a cursor that String wrote. An empty string is the beginning.
func ParseCursor(s string) (c Cursor, ok bool) {
	if s == "" {
		return c, true
	}
	raw, err := base64.RawURLEncoding.DecodeString(s)
	dot := bytes.LastIndexByte(raw, '.')
	if err != nil || dot < 0 {
		return c, false
	}
	c.id = string(raw[:dot])
	c.nanos, err = strconv.ParseInt(string(raw[dot+1:]), 36, 64)
	return c, err == nil
}

// position returns the index of the first member that follows c.
func position[M Member](c Cursor, members []M) int {
	for i, m := range members {
		if at := m.Accepted().UnixNano(); at < c.nanos || at == c.nanos && m.ID() > c.id {
			return i
		}
	}
	return len(members)
}
