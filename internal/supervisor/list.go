package supervisor

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"slices"
	"strconv"

	"github.com/coggo/coggo/internal/prediction"
)

// List returns up to limit predictions, live and retained, newest first, and a cursor for those
// that follow, empty at the end. It lists one method only, or all when that is empty. It returns a
// *prediction.Error with code NotFound for a string that is not a cursor.
func (s *Supervisor) List(only prediction.Method, after string, limit int) (page []*prediction.Prediction, next string, err error) {
	from, ok := parseCursor(after)
	if !ok {
		return nil, "", prediction.Refuse(prediction.NotFound, "no page has this cursor: it must be the `next` of an earlier page")
	}
	s.mu.Lock()
	s.forgetLocked()
	all := make([]*flight, 0, len(s.flights))
	for _, f := range s.flights {
		if only == "" || f.prediction.Request.Method == only {
			all = append(all, f)
		}
	}
	s.mu.Unlock()
	slices.SortFunc(all, func(a, b *flight) int { return cmp.Or(b.accepted.Compare(a.accepted), cmp.Compare(a.id(), b.id())) })
	if after != "" {
		all = all[from.position(all):]
	}
	if len(all) > limit {
		next = cursorAt(all[limit-1]).String()
		all = all[:limit]
	}
	for _, f := range all {
		page = append(page, f.prediction)
	}
	return page, next, nil
}

// cursor is the place of a prediction in the list, also when it is gone.
type cursor struct {
	nanos int64
	id    string
}

func cursorAt(f *flight) cursor { return cursor{f.accepted.UnixNano(), f.id()} }

// String can stand in an address as it is, whatever the id is.
func (c cursor) String() string {
	return base64.RawURLEncoding.EncodeToString(strconv.AppendInt([]byte(c.id+"."), c.nanos, 36))
}

// parseCursor reads a cursor; an empty text is one for the beginning.
func parseCursor(text string) (c cursor, ok bool) {
	if text == "" {
		return c, true
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	dot := bytes.LastIndexByte(raw, '.')
	if err != nil || dot < 0 {
		return c, false
	}
	c.id = string(raw[:dot])
	c.nanos, err = strconv.ParseInt(string(raw[dot+1:]), 36, 64)
	return c, err == nil
}

// position is the index of the first flight that follows c.
func (c cursor) position(all []*flight) int {
	for i, f := range all {
		if at := f.accepted.UnixNano(); at < c.nanos || at == c.nanos && f.id() > c.id {
			return i
		}
	}
	return len(all)
}
