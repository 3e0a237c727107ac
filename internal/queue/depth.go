package queue

import (
	"context"
	"sync"
	"time"
)

// depthFor is how long a look at the length of a queue counts: each costs the broker a request.
const depthFor = 250 * time.Millisecond

// depth is how much there is in the queue of a model.
type depth struct {
	waiting   int    // no worker has them
	running   int    // a worker has them
	delivered uint64 // sequence of the last request that a worker has had
}

// depths looks at the lengths of queues, not too often.
type depths struct {
	q *Queue

	mu   sync.Mutex // guards the rest
	seen map[string]*seenDepth
}

type seenDepth struct {
	depth
	at    time.Time
	err   error
	added int // predictions that this process has let in since
}

// of returns the length of the queue of a model, as it was depthFor ago at most.
func (d *depths) of(ctx context.Context, name string) (depth, error) {
	d.mu.Lock()
	defer d.mu.Unlock() // while one looks the others wait for what it sees
	seen := d.recentLocked(ctx, name)
	return seen.depth, seen.err
}

// refusalFor is how long a look counts that has found a full queue: there may be room again.
const refusalFor = 20 * time.Millisecond

// admit reports whether fewer than most predictions of a model wait, and how many do. It looks
// again once those that it has let in since its last look may have filled the queue.
func (d *depths) admit(ctx context.Context, name string, most int) (waiting int, ok bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	seen := d.recentLocked(ctx, name)
	if seen.waiting+seen.added >= most && (seen.waiting < most || d.q.config.Now().Sub(seen.at) >= refusalFor) {
		seen = d.lookLocked(ctx, name)
	}
	if seen.err != nil || seen.waiting >= most {
		return seen.waiting, false, seen.err
	}
	seen.added++
	return seen.waiting, true, nil
}

// forget makes the next look a new one: there is room that the last ones have not seen.
func (d *depths) forget() {
	d.mu.Lock()
	d.seen = nil
	d.mu.Unlock()
}

func (d *depths) recentLocked(ctx context.Context, name string) *seenDepth {
	if seen := d.seen[name]; seen != nil && d.q.config.Now().Sub(seen.at) < depthFor {
		return seen
	}
	return d.lookLocked(ctx, name)
}

func (d *depths) lookLocked(ctx context.Context, name string) *seenDepth {
	seen := &seenDepth{at: d.q.config.Now()}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := d.q.broker.js.Consumer(ctx, askedStream, token(name)) // which also asks for its state
	if err == nil {
		info := c.CachedInfo()
		seen.depth = depth{
			waiting: int(info.NumPending), running: info.NumAckPending, delivered: info.Delivered.Stream,
		}
	}
	seen.err = lacksConsumer(askedStream, token(name), err)
	if d.seen == nil {
		d.seen = map[string]*seenDepth{}
	}
	d.seen[name] = seen
	return seen
}
