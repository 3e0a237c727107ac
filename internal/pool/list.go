package pool

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"slices"
	"strconv"
	"time"
)

// Page returns up to limit of those members that follow after, newest first, and the cursor of the
// next page, "" at the end. It is not a method, so that its caller can sort without the lock of the
// pool.
func Page[M Member](members []M, after Cursor, limit int) (page []M, next string) {
	newer := func(a, b M) int {
		return cmp.Or(b.Accepted().Compare(a.Accepted()), cmp.Compare(a.ID(), b.ID()))
	}
	for _, m := range members { // to sort all of them would take 10 times as long
		if after != (Cursor{}) && !after.before(m) || len(page) > limit && newer(page[limit], m) < 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(page, m, newer)
		page = slices.Insert(page, at, m)
		page = page[:min(len(page), limit+1)]
	}
	if len(page) > limit {
		next = cursorAt(page[limit-1]).String()
		page = page[:limit]
	}
	return page, next
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

// before reports whether a member follows c.
func (c Cursor) before(m interface {
	Accepted() time.Time
	ID() string
}) bool {
	at := m.Accepted().UnixNano()
	return at < c.nanos || at == c.nanos && m.ID() > c.id
}
