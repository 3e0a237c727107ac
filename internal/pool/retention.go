package pool

import (
	"container/list"
	"time"
)

// retention remembers the order in which finished members may be forgotten. It holds no members.
type retention struct {
	max   int
	age   time.Duration
	bytes int

	order list.List // of kept, oldest first
	at    map[string]*list.Element
	held  int // bytes of all
}

type kept struct {
	id   string
	size int
	at   time.Time
}

func newRetention(l Limits) retention {
	return retention{
		max: l.Retain, age: l.RetainFor, bytes: l.RetainBytes, at: map[string]*list.Element{},
	}
}

// add remembers an id as the one that was finished last.
func (r *retention) add(id string, size int, at time.Time) {
	r.remove(id)
	r.at[id] = r.order.PushBack(kept{id, size, at})
	r.held += size
}

// remove forgets id without returning it: the id is live again.
func (r *retention) remove(id string) {
	if e := r.at[id]; e != nil {
		r.held -= r.order.Remove(e).(kept).size
		delete(r.at, id)
	}
}

// expire returns the ids that are too old, too many or too large together at now.
func (r *retention) expire(now time.Time) (ids []string) {
	for e := r.order.Front(); e != nil; e = r.order.Front() {
		oldest := e.Value.(kept)
		if r.order.Len() <= r.max && r.held <= r.bytes && now.Sub(oldest.at) < r.age {
			break
		}
		r.remove(oldest.id)
		ids = append(ids, oldest.id)
	}
	return ids
}
