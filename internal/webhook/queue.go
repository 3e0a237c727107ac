package webhook

import (
	"context"
	"sync"
	"time"
)

// Queue is the news of one prediction, in order. Every queue must be finished.
type Queue struct {
	s        *Sender
	target   Target
	snapshot func() []byte
	wake     chan struct{}

	mu      sync.Mutex // guards the rest
	start   []byte
	changed Event // what grew since the last partial update, empty if nothing did
	final   func() []byte
	settled func()
	ended   bool
	hanging context.CancelFunc // gives up the attempt under way, nil when there is none
}

// Start tells of the start of the run, with body as it was at that moment.
func (q *Queue) Start(body []byte) {
	if !q.target.wants(Start) {
		return
	}
	q.mu.Lock()
	if !q.ended {
		q.start = body
	}
	q.mu.Unlock()
	q.poke()
}

// Changed tells that output or logs grew. It never blocks.
func (q *Queue) Changed(e Event) {
	if !q.target.wants(e) {
		return
	}
	q.mu.Lock()
	first := q.changed == "" && !q.ended
	if first {
		q.changed = e
	}
	q.mu.Unlock()
	if first {
		q.poke()
	}
}

// Finish tells of the end, last and once: later calls of any method do nothing. body is called for each attempt. settled is called when the receiver has
// acknowledged or refused, or after the last attempt; it is not called when the sender is stopped before.
func (q *Queue) Finish(body func() []byte, settled func()) {
	q.mu.Lock()
	if q.ended {
		q.mu.Unlock()
		return
	}
	q.ended, q.final, q.settled, q.changed = true, body, settled, ""
	hanging := q.hanging
	q.mu.Unlock()
	q.poke()
	if hanging != nil {
		time.AfterFunc(q.s.Patience, hanging)
	}
}

func (q *Queue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// run sends one thing after the other until the end was told.
func (q *Queue) run() {
	var due time.Time // when the next partial update may go out
	for {
		start, changed, ended := q.take(due)
		switch {
		case start != nil:
			q.once(Start, start)
		case changed != "":
			q.once(changed, q.snapshot())
			due = time.Now().Add(q.s.Throttle)
		case ended:
			q.finish()
			return
		default:
			q.sleep(due)
		}
	}
}

// take returns what to send next: the start, a partial update that is due, or the end.
func (q *Queue) take(due time.Time) (start []byte, changed Event, ended bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.start != nil {
		start, q.start = q.start, nil
		return start, "", false
	}
	if q.changed != "" && !time.Now().Before(due) {
		changed, q.changed = q.changed, ""
	}
	return nil, changed, q.ended
}

// sleep waits for news, or for the time when held-back news may go out.
func (q *Queue) sleep(due time.Time) {
	q.mu.Lock()
	held := q.changed != ""
	q.mu.Unlock()
	if !held {
		<-q.wake
		return
	}
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-q.wake:
	case <-timer.C:
	}
}

// once makes the only attempt at an event that is not the last. When the end is there already it has little time.
func (q *Queue) once(e Event, body []byte) {
	ctx, cancel := context.WithTimeout(q.s.stopping, q.s.Timeout)
	defer cancel()
	q.mu.Lock()
	q.hanging = cancel
	late := q.ended
	q.mu.Unlock()
	if late {
		time.AfterFunc(q.s.Patience, cancel)
	}
	_ = q.s.attempt(ctx, q.target, e, body, 1) // observed there; nobody waits for it
	q.mu.Lock()
	q.hanging = nil
	q.mu.Unlock()
}

// finish delivers the terminal event.
func (q *Queue) finish() {
	q.mu.Lock()
	body, settled := q.final, q.settled
	q.final, q.snapshot = nil, nil
	q.mu.Unlock()
	if q.target.wants(Completed) && !q.s.deliver(q.target, body) {
		return // stopped: still owed
	}
	if settled != nil {
		settled()
	}
}
