package webhook

import (
	"context"
	"sync"
	"time"

	"github.com/coggo/coggo/internal/prediction"
)

// Queue is the news of one prediction, in order. Every queue must be finished.
type Queue struct {
	s      *Sender
	target Target
	wake   chan struct{}

	mu          sync.Mutex              // guards the rest
	snapshot    func() Body             // nil once no update can follow: it holds the prediction
	waiting     []piece                 // to go out as they are
	changed     prediction.WebhookEvent // what grew since the last partial update, empty if nothing did
	final       Body
	onDelivered func()
	begun       bool
	ended       bool
	until       time.Time          // once it ended: how long what came before may still hold it up
	hanging     context.CancelFunc // gives up the attempt under way, nil when there is none
}

// piece is an event that is not the last.
type piece struct {
	event prediction.WebhookEvent
	body  Body
}

// maxWaiting is how many updates a receiver may fall behind when they are not throttled; beyond it
// they are merged. What is large in them is held once, by the prediction.
const maxWaiting = 64

// Start tells of the start of the run, with body as it was at that moment. Nothing goes out before.
func (q *Queue) Start(body Body) {
	q.mu.Lock()
	q.begun = true
	if !q.ended && q.target.wants(prediction.WebhookStart) {
		q.waiting = append(q.waiting, piece{prediction.WebhookStart, body})
	}
	q.mu.Unlock()
	q.notify()
}

// Changed tells that output or logs grew. It waits for no receiver.
func (q *Queue) Changed(e prediction.WebhookEvent) {
	if !q.target.wants(e) {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended || q.changed != "" {
		return
	}
	q.changed = e
	if q.s.Throttle == 0 && q.begun && len(q.waiting) < maxWaiting {
		q.waiting = append(q.waiting, q.updateLocked())
		q.changed = ""
	}
	q.notify()
}

// updateLocked is the update for what has changed. It is rendered under the lock, because two that
// are rendered concurrently could go out in the wrong order.
func (q *Queue) updateLocked() piece { return piece{q.changed, q.snapshot()} }

// Returned reports a single-value result. The terminal event contains it, so an output event is
// sent only to receivers that do not subscribe to completed.
func (q *Queue) Returned() {
	if !q.target.wants(prediction.WebhookCompleted) {
		q.Changed(prediction.WebhookOutput)
	}
}

// Finish sends the terminal event, last and once: later calls of any method do nothing. onDelivered
// is called when the receiver has acknowledged or refused it, or after the last attempt; it is not
// called if the sender stops before that.
func (q *Queue) Finish(body Body, onDelivered func()) {
	q.mu.Lock()
	if q.ended {
		q.mu.Unlock()
		return
	}
	q.ended, q.final, q.onDelivered = true, body, onDelivered
	q.until = time.Now().Add(q.s.Patience)
	if q.target.wants(prediction.WebhookCompleted) {
		q.changed, q.snapshot = "", nil // the terminal event says it too
	}
	hanging := q.hanging
	q.mu.Unlock()
	q.notify()
	if hanging != nil {
		time.AfterFunc(q.s.Patience, hanging)
	}
}

func (q *Queue) notify() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// run sends one event after another until the terminal one.
func (q *Queue) run() {
	var due time.Time // when the next partial update may go out
	for {
		next, ended := q.take(due)
		switch {
		case next.event != "":
			q.once(next)
			if next.event != prediction.WebhookStart {
				due = time.Now().Add(q.s.Throttle)
			}
		case ended:
			q.finish()
			return
		default:
			q.sleep(due)
		}
	}
}

// take returns what to send next, or that only the end is left. After the end nothing is held back,
// and what is late is dropped.
func (q *Queue) take(due time.Time) (next piece, ended bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	if q.ended && now.After(q.until) {
		q.waiting, q.changed = nil, ""
	}
	switch {
	case len(q.waiting) > 0:
		next = q.waiting[0]
		q.waiting = q.waiting[1:]
	case q.changed != "" && (q.ended || q.begun && !now.Before(due)):
		next, q.changed = q.updateLocked(), ""
	}
	return next, q.ended
}

// sleep waits for news, or for the time when held-back news may go out.
func (q *Queue) sleep(due time.Time) {
	q.mu.Lock()
	held := q.changed != "" && q.begun
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

// once makes the only attempt at an event that is not the last. When the end is there already it
// has little time.
func (q *Queue) once(p piece) {
	ctx, cancel := context.WithTimeout(q.s.stopping, q.s.Timeout)
	defer cancel()
	q.mu.Lock()
	q.hanging = cancel
	late, until := q.ended, q.until
	q.mu.Unlock()
	if late {
		time.AfterFunc(time.Until(until), cancel)
	}
	_ = q.s.attempt(ctx, q.target, p.event, p.body, 1) // observed there; nothing depends on it
	q.mu.Lock()
	q.hanging = nil
	q.mu.Unlock()
}

// finish delivers the terminal event.
func (q *Queue) finish() {
	q.mu.Lock()
	body, onDelivered := q.final, q.onDelivered
	q.mu.Unlock()
	switch {
	case q.s.Elsewhere != nil:
		q.s.Elsewhere(q.target)
	case q.target.wants(prediction.WebhookCompleted) && !q.s.deliver(q.target, body):
		return // stopped: still owed
	}
	if onDelivered != nil {
		onDelivered()
	}
}
