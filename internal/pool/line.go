package pool

import (
	"container/list"
	"iter"
)

// line is members that wait, in order. To push and to remove one takes the same time however many
// there are: 100,000 may wait, and all of them may be withdrawn at once.
type line[M Member] struct {
	order list.List // of waiting[M]
	at    map[M]*list.Element
	bytes int // memory of all
}

type waiting[M Member] struct {
	member M
	size   int // when it came
}

func newLine[M Member]() line[M] { return line[M]{at: map[M]*list.Element{}} }

func (l *line[M]) len() int { return l.order.Len() }

// push lets m wait behind all others.
func (l *line[M]) push(m M) {
	size := m.Size()
	l.at[m] = l.order.PushBack(waiting[M]{m, size})
	l.bytes += size
}

// pushBefore lets m wait before the first member that does not hold, else behind all.
func (l *line[M]) pushBefore(m M, hold func(M) bool) {
	l.push(m)
	for e := l.order.Front(); e != l.at[m]; e = e.Next() {
		if !hold(e.Value.(waiting[M]).member) {
			l.order.MoveBefore(l.at[m], e)
			return
		}
	}
}

// remove takes m out, if it is there.
func (l *line[M]) remove(m M) {
	if e := l.at[m]; e != nil {
		l.bytes -= l.order.Remove(e).(waiting[M]).size
		delete(l.at, m)
	}
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
