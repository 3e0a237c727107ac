package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/supervisor"
)

// Cancel ends a prediction that waits, or tells its worker to. It succeeds if p is already
// canceled. The error is a *prediction.Error: NotFound if p has finished otherwise.
func (q *Queue) Cancel(p *prediction.Prediction, reason supervisor.Reason) error {
	switch status := p.Status(); {
	case status == prediction.Canceled:
		return nil
	case status.Terminal():
		return errEnded()
	}
	key, run := token(p.Request.ID), ""
	if m := q.known(key); m != nil && m.prediction == p {
		run = m.run
	}
	ctx, cancel := context.WithTimeout(q.ctx, patience)
	defer cancel()
	return q.cancelRun(ctx, key, run, reason)
}

// cancelTries is how often a cancel looks again when the state has changed in the meantime.
const cancelTries = 10

// cancelRun cancels what has this key; run restricts it to one run.
func (q *Queue) cancelRun(ctx context.Context, key, run string, reason supervisor.Reason) error {
	for range cancelTries {
		err := q.cancelOnce(ctx, key, run, reason)
		switch {
		case wrongSequence(err):
			continue
		case err != nil && !refused(err):
			return q.unreachable(err)
		}
		return err
	}
	return q.unreachable(nil)
}

// cancelOnce looks once, and cancels what it sees. An error with a wrong sequence says that it has
// changed meanwhile.
func (q *Queue) cancelOnce(ctx context.Context, key, run string, reason supervisor.Reason) error {
	s, err := q.broker.state(ctx, key)
	if err != nil {
		return err
	}
	meant := func(other string) bool { return run == "" || other == run }
	switch {
	case reason == supervisor.ByDisconnect && s.kept && s.underway():
		return nil // another client waits for it
	case s.kind == claimed && meant(s.run):
		return q.cancelClaimed(ctx, s, reason)
	}
	a, found, err := q.broker.asked(ctx, key)
	switch {
	case err != nil:
		return err
	case found && meant(a.run) && (s.kind != ended || s.run != a.run):
		return q.cancelWaiting(ctx, a, s, reason)
	case meant(s.run) && s.canceled():
		return nil // since the caller has looked
	}
	return errEnded()
}

// canceled reports whether the run has ended so.
func (s state) canceled() bool {
	if s.kind != ended {
		return false
	}
	end, err := prediction.ReadSnapshot(s.body)
	return err == nil && end.Status == prediction.Canceled
}

// cancelClaimed notes the cancel in the claim, so that a later holder ends the run too, and tells
// the present one.
func (q *Queue) cancelClaimed(ctx context.Context, s state, reason supervisor.Reason) (err error) {
	if s.cancel == "" {
		before := s.seq
		s.cancel = string(reason)
		if s.seq, err = q.broker.put(ctx, s, before, 0); err != nil {
			return err
		}
	}
	return q.broker.nc.PublishMsg(s.tellCanceled())
}

// cancelWaiting ends a prediction that no worker has.
func (q *Queue) cancelWaiting(ctx context.Context, a asked, s state, reason supervisor.Reason) error {
	entry, err := q.entry(ctx, a)
	if err != nil {
		return err
	}
	after := q.broker.expects(a, s)
	s.cancel = string(reason)
	return q.endUnrun(ctx, a, entry, s, after, canceledResult(entry, reason, q.config.Now()))
}

// expects is the sequence that the broker has to have for the next state of a request whose state
// was read as s. The end of a run before may have expired meanwhile; a user with rights for one
// model does not see one of another model.
func (b *broker) expects(a asked, s state) uint64 {
	if s.run != a.run && b.narrow {
		return a.after
	}
	return s.seq
}

// turns is how often the request has been claimed.
func (a asked) turns(s state) int {
	if s.run == a.run {
		return s.turn
	}
	return 0
}

// canceledResult is the end of a prediction that was canceled before it ran.
func canceledResult(entry prediction.Entry, reason supervisor.Reason, now time.Time) prediction.Result {
	r := prediction.Result{Status: prediction.Canceled, CompletedAt: now}
	if reason == supervisor.ByDeadline {
		r.Error = fmt.Sprintf("canceled at its deadline of %s", entry.CancelAfter)
	}
	return r
}

// endUnrun stores the end of a prediction that does not run, takes it off the queue, and owes its
// webhook.
func (q *Queue) endUnrun(
	ctx context.Context, a asked, entry prediction.Entry, s state, after uint64, r prediction.Result,
) error {
	next := state{
		place: a.place, kind: ended, run: a.run, owner: q.process, attempt: s.attempt, turn: a.turns(s) + 1,
		cancel: s.cancel, input: a.input, method: entry.Method,
	}
	p := prediction.New(entry.Complete(), prediction.Limits{})
	p.Reset(next.turn) // its end comes after all that readers may have seen of a lost worker
	p.Finish(r)
	var err error
	next.payload, err = q.broker.storePast(ctx, a.place, endObject(a.run, after), p.Past(), next.turn)
	if err != nil {
		return err
	}
	if _, err = q.broker.put(ctx, next, after, q.config.RetainFor); err != nil {
		if wrongSequence(err) {
			q.broker.discard(ctx, a.place, next.payload)
		}
		return err
	}
	if err := q.owe(ctx, a.place, entry, next.payload); err != nil {
		return err
	}
	return q.take(ctx, a)
}

// take takes a request off the queue that has an end.
func (q *Queue) take(ctx context.Context, a asked) error {
	if q.broker.narrow {
		return nil // it may acknowledge only, and does so as soon as it has the message
	}
	err := q.broker.requests.DeleteMsg(ctx, a.seq)
	if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return err
	}
	q.depths.forget()
	q.broker.discard(ctx, a.place, a.payload)
	return nil
}

// endObject is the name of the object with the end of a run. The sequence of the claim is in it:
// what a worker that has lost its claim still writes must not replace the end of another one.
func endObject(run string, claim uint64) string {
	return "end-" + run + "-" + strconv.FormatUint(claim, 10)
}

// expire ends a run whose deadline has come, if no worker has it. A worker that has it counts by
// itself.
func (q *Queue) expire(id, run string) {
	ctx, cancel := context.WithTimeout(q.ctx, patience)
	defer cancel()
	key := token(id)
	a, found, err := q.broker.asked(ctx, key)
	if err != nil || !found || a.run != run {
		return // a later run of the id has a deadline of its own
	}
	s, err := q.broker.state(ctx, key)
	if err != nil || s.kind == claimed || s.kind == ended && s.run == a.run {
		return
	}
	err = q.cancelWaiting(ctx, a, s, supervisor.ByDeadline)
	if err != nil && !wrongSequence(err) && q.ctx.Err() == nil {
		q.config.Log.Warn("end a prediction at its deadline", "id", id, "error", err)
	}
}
