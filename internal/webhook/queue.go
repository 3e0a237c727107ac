package webhook

import (
	"context"
	"sync"
	"time"

	"github.com/coggo/coggo/internal/prediction"
)

// Queue has the events of one prediction, in order. Every queue must be finished, unless its sender
// stops before.
type Queue struct {
	s      *Sender
	target Target
	wake   chan struct{}

	mu       sync.Mutex  // guards the rest
	snapshot func() Body // nil once no update can follow, because it refers to the prediction
	waiting  []piece     // to send as they are
	// What grew since the last partial update; "" if nothing did.
	changed     prediction.WebhookEvent
	final       Body
	onDelivered func()
	begun       bool
	ended       bool
	until       time.Time          // after the end: how long earlier events may still delay it
	hanging     context.CancelFunc // gives up the current attempt; nil if there is none
}

// piece is an event before the terminal one.
type piece struct {
	event prediction.WebhookEvent
	body  Body
}

// maxWaiting is how many updates a receiver may be behind if they are not throttled. Further ones
// are merged. The prediction holds large data once for all of them.
const maxWaiting = 64

// Start reports the start of the run, with the body at that moment. Nothing is sent before.
func (q *Queue) Start(body Body) {
	q.mu.Lock()
	q.begun = true
	if !q.ended && q.target.wants(prediction.WebhookStart) {
		q.waiting = append(q.waiting, piece{prediction.WebhookStart, body})
	}
	q.mu.Unlock()
	q.notify()
}

// Changed reports that output or logs grew. It waits for no receiver.
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

// updateLocked returns the update for all changes. It renders the update under the lock, because
// two that are rendered concurrently could be sent in the wrong order.
func (q *Queue) updateLocked() piece { return piece{q.changed, q.snapshot()} }

// Returned reports a single-value result. The terminal event contains it, so an output event is
// sent only to receivers that do not subscribe to completed.
func (q *Queue) Returned() {
	if !q.target.wants(prediction.WebhookCompleted) {
		q.Changed(prediction.WebhookOutput)
	}
}

// Finish sends the terminal event, last and once. Later calls of any method do nothing. It calls
// onDelivered when the receiver has acknowledged or refused the event, or after the last attempt,
// but not if the sender stops before that.
func (q *Queue) Finish(body Body, onDelivered func()) {
	q.mu.Lock()
	if q.ended {
		q.mu.Unlock()
		return
	}
	q.ended, q.final, q.onDelivered = true, body, onDelivered
	q.until = time.Now().Add(q.s.Patience)
	if q.target.wants(prediction.WebhookCompleted) {
		q.changed, q.snapshot = "", nil // the terminal event has it too
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
	var due time.Time // when the next partial update may be sent
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
			if !q.sleep(due) {
				return
			}
		}
	}
}

// take returns the next event to send, or reports that only the terminal one is left. After the end
// it holds nothing back, and drops late events.
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

// sleep waits for a notification, or for the time when a throttled update may be sent. It reports
// false if the sender has stopped, and the prediction has not finished.
func (q *Queue) sleep(due time.Time) (more bool) {
	q.mu.Lock()
	held := q.changed != "" && q.begun
	q.mu.Unlock()
	var free <-chan time.Time
	if held {
		timer := time.NewTimer(time.Until(due))
		defer timer.Stop()
		free = timer.C
	}
	select {
	case <-q.wake:
	case <-free:
	case <-q.s.stopping.Done():
		q.mu.Lock()
		defer q.mu.Unlock()
		return q.ended
	}
	return true
}

// once makes the only attempt at an event before the terminal one. If the prediction has already
// finished, the attempt has little time.
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
		return // stopped: a later server delivers it
	}
	if onDelivered != nil {
		onDelivered()
	}
}
