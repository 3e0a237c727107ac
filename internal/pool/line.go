package pool

import (
	"container/list"
	"iter"
)

// line is members that wait, in order. To push, to find and to remove one takes the same time
// however many there are: 100,000 may wait, and all of them may be withdrawn at once.
type line[M Member] struct {
	order list.List // of waiting[M]
	whole list.List // of M: those that have nothing to fetch, in the same order
	at    map[M]place
	bytes int // memory of all
}

type waiting[M Member] struct {
	member M
	size   int // when it came
}

// place is where a member is in the lists of a line.
type place struct{ order, whole *list.Element }

func newLine[M Member]() line[M] { return line[M]{at: map[M]place{}} }

func (l *line[M]) len() int { return l.order.Len() }

// push lets m wait behind all others.
func (l *line[M]) push(m M) {
	size := m.Size()
	p := place{order: l.order.PushBack(waiting[M]{m, size})}
	if !m.Fetches() {
		p.whole = l.whole.PushBack(m)
	}
	l.at[m] = p
	l.bytes += size
}

// first returns the first member, or the first that has nothing to fetch.
func (l *line[M]) first(fetching bool) (m M, ok bool) {
	if e := l.order.Front(); e != nil && fetching {
		return e.Value.(waiting[M]).member, true
	}
	if e := l.whole.Front(); e != nil {
		return e.Value.(M), true
	}
	return m, false
}

// pushBefore lets m, which has files to fetch, wait before the first member that does not hold, else
// behind all.
func (l *line[M]) pushBefore(m M, hold func(M) bool) {
	l.push(m)
	p := l.at[m]
	for e := l.order.Front(); e != p.order; e = e.Next() {
		if !hold(e.Value.(waiting[M]).member) {
			l.order.MoveBefore(p.order, e)
			return
		}
	}
}

// remove takes m out, if it is there.
func (l *line[M]) remove(m M) {
	p, ok := l.at[m]
	if !ok {
		return
	}
	l.bytes -= l.order.Remove(p.order).(waiting[M]).size
	if p.whole != nil {
		l.whole.Remove(p.whole)
	}
	delete(l.at, m)
}

// all returns the members in order. The one that was returned last may be removed.
func (l *line[M]) all() iter.Seq[M] {
	return func(yield func(M) bool) {
		for e := l.order.Front(); e != nil; {
			next := e.Next()
			if !yield(e.Value.(waiting[M]).member) {
				return
			}
			e = next
		}
	}
}
