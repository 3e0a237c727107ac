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
	waiting int // no worker has them
	running int // a worker has them
}

// depths looks at the lengths of queues, not too often.
type depths struct {
	q *Queue

	mu   sync.Mutex // guards the rest
	seen map[string]seenDepth
}

type seenDepth struct {
	depth
	at  time.Time
	err error
}

// of returns the length of the queue of a model, as it was depthFor ago at most.
func (d *depths) of(ctx context.Context, name string) (depth, error) {
	now := d.q.config.Now()
	d.mu.Lock()
	defer d.mu.Unlock() // while one looks the others wait for what it sees
	if seen, ok := d.seen[name]; ok && now.Sub(seen.at) < depthFor {
		return seen.depth, seen.err
	}
	seen := seenDepth{at: now}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := d.q.broker.js.Consumer(ctx, askedStream, token(name)) // which also asks for its state
	if err == nil {
		info := c.CachedInfo()
		seen.depth = depth{waiting: int(info.NumPending), running: info.NumAckPending}
	}
	seen.err = err
	if d.seen == nil {
		d.seen = map[string]seenDepth{}
	}
	d.seen[name] = seen
	return seen.depth, err
}
