package pool

import "time"

// retention remembers the order in which finished members may be forgotten. It holds no members.
type retention struct {
	max   int
	age   time.Duration
	bytes int

	kept []kept // oldest first
	held int    // bytes of all kept
}

type kept struct {
	id   string
	size int
	at   time.Time
}

func (r *retention) add(id string, size int, at time.Time) {
	r.kept = append(r.kept, kept{id, size, at})
	r.held += size
}

// remove forgets id without returning it: the id is live again.
func (r *retention) remove(id string) {
	for i, k := range r.kept {
		if k.id == id {
			r.held -= k.size
			r.kept = append(r.kept[:i:i], r.kept[i+1:]...)
			return
		}
	}
}

// expire returns the ids that are too old, too many or too large together at now.
func (r *retention) expire(now time.Time) (ids []string) {
	for len(r.kept) > 0 {
		oldest := r.kept[0]
		if len(r.kept) <= r.max && r.held <= r.bytes && now.Sub(oldest.at) < r.age {
			break
		}
		r.held -= oldest.size
		r.kept = r.kept[1:]
		ids = append(ids, oldest.id)
	}
	return ids
}
