package supervisor

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/coggo/coggo/internal/prediction"
)

// List returns up to limit predictions, live and retained, newest first, and a cursor for those that follow, empty at
// the end. A cursor of another server or of no server at all starts at the beginning.
func (s *Supervisor) List(cursor string, limit int) (page []*prediction.Prediction, next string) {
	s.mu.Lock()
	s.forgetLocked()
	all := make([]*flight, 0, len(s.flights))
	for _, f := range s.flights {
		all = append(all, f)
	}
	s.mu.Unlock()
	slices.SortFunc(all, func(a, b *flight) int { return cmp.Or(b.accepted.Compare(a.accepted), cmp.Compare(a.id(), b.id())) })
	if after, id, ok := parseCursor(cursor); ok {
		all = all[position(all, after, id):]
	}
	if len(all) > limit {
		last := all[limit-1]
		next = strconv.FormatInt(last.accepted.UnixNano(), 36) + "." + last.id()
		all = all[:limit]
	}
	for _, f := range all {
		page = append(page, f.prediction)
	}
	return page, next
}

func parseCursor(cursor string) (nanos int64, id string, ok bool) {
	head, id, ok := strings.Cut(cursor, ".")
	nanos, err := strconv.ParseInt(head, 36, 64)
	return nanos, id, ok && err == nil
}

// position is the index of the first flight that follows the one of the cursor, which may be gone.
func position(all []*flight, nanos int64, id string) int {
	for i, f := range all {
		if at := f.accepted.UnixNano(); at < nanos || at == nanos && f.id() > id {
			return i
		}
	}
	return len(all)
}
