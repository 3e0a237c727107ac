package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/supervisor"
)

// firstEnd is an end that was published in place of a claim, and has not been answered.
type firstEnd struct {
	state
	answer jetstream.PubAckFuture
	sent   time.Time
}

// endFirst publishes how a run has ended if nobody has claimed it. It returns nil if the run has a
// claim, or no end that fits into a message.
func (w *Worker) endFirst(j *job, p *prediction.Prediction, err error) *firstEnd {
	if !j.unclaim() {
		return nil
	}
	final, err := w.final(j, p, err)
	if err != nil || final.OnDisk() || final.Large() {
		return nil
	}
	end := &firstEnd{state: j.claim, sent: time.Now()}
	end.kind = ended
	end.payload = payload{
		body: final.AppendJSON(nil), record: recordOf(final, end.turn, mostRecord),
	}
	if !w.q.broker.fits(len(end.body) + len(end.record)) {
		return nil
	}
	end.answer, err = w.q.broker.putSoon(end.state, j.after, w.q.config.RetainFor)
	if err != nil {
		return nil
	}
	return end
}

// concludeFirst waits until the broker has answered a first end. If it does not, or refuses it, the
// state says what there is to do.
func (w *Worker) concludeFirst(j *job, first *firstEnd, p *prediction.Prediction, err error) {
	select {
	case <-first.answer.Ok():
		w.q.broker.stored(time.Since(first.sent))
		j.claim = first.state
		w.settle(j, finish)
	case why := <-first.answer.Err():
		w.q.config.Log.Debug("store an end in place of a claim", "id", j.entry.ID, "error", why)
		w.endUnclaimed(j, p, err)
	case <-w.q.ctx.Done():
		w.leave(j)
	}
}

// conclude ends a run as the broker has answered its claim, or the end in its place.
func (w *Worker) conclude(j *job, first *firstEnd, p *prediction.Prediction, err error) {
	if first != nil {
		w.concludeFirst(j, first, p, err)
		return
	}
	switch j.claimed() {
	case claimHeld:
		w.end(j, p, err)
	case claimUnanswered:
		w.endUnclaimed(j, p, err)
	case claimRefused:
		v := w.contend(j)
		if v == runIt { // it is this worker's after all, and has no slot any more
			w.handBack(j, true)
			return
		}
		w.settle(j, v)
	}
}

// endUnclaimed stores how a run has ended whose claim was not answered, unless another worker has
// claimed it meanwhile.
func (w *Worker) endUnclaimed(j *job, p *prediction.Prediction, err error) {
	for {
		switch v := w.contend(j); v {
		case runIt:
			w.end(j, p, err)
			return
		case dropIt, finish:
			w.settle(j, v)
			return
		case putBack:
		}
		select {
		case <-time.After(attempt):
		case <-w.q.ctx.Done():
			w.leave(j)
			return
		}
	}
}

// end stores how a run has ended, until the broker answers. err is why there was no run.
func (w *Worker) end(j *job, p *prediction.Prediction, err error) {
	final, err := w.final(j, p, err)
	if err != nil {
		w.handBack(j, p != nil)
		return
	}
	j.takeNoted()
	next := j.claim
	next.kind = ended
	for w.q.ctx.Err() == nil {
		object := endObject(j.asked.run, j.claim.seq)
		next.payload, err = w.q.broker.storePast(w.q.ctx, j.place, object, final, next.turn)
		if err == nil {
			_, err = w.q.broker.put(w.q.ctx, next, j.claim.seq, w.q.config.RetainFor)
		}
		if err == nil {
			j.claim = next
			w.settle(j, finish)
			return
		}
		if wrongSequence(err) {
			var done bool
			if done, err = w.fenced(j, &next); done {
				return
			}
			if err == nil {
				continue
			}
		}
		w.q.config.Log.Warn("store the end of a prediction: trying again", "id", j.entry.ID, "error", err)
		select {
		case <-time.After(attempt):
		case <-w.q.ctx.Done():
		}
	}
	w.leave(j)
}

// fenced looks why an end was refused. It reports whether that is all: the end is stored, or
// another worker has the run.
func (w *Worker) fenced(j *job, next *state) (done bool, err error) {
	ctx, cancel := context.WithTimeout(w.q.ctx, patience)
	defer cancel()
	s, err := w.q.broker.state(ctx, j.key)
	switch {
	case err != nil:
		return false, err
	case w.holds(j, s):
		j.claim.seq, next.cancel = s.seq, s.cancel // somebody has canceled it, or asked for it again
		w.q.broker.discard(ctx, j.place, next.payload)
		return false, nil
	case s.run == j.asked.run && s.kind == ended && s.owner == w.q.process && s.turn == j.claim.turn:
		j.claim = s
		w.settle(j, finish) // the answer was lost
		return true, nil
	default:
		w.q.counters.Fenced.Add(1)
		w.q.config.Log.Warn("another worker has taken over: the result is dropped", "id", j.entry.ID)
		w.q.broker.discard(ctx, j.place, next.payload)
		w.leave(j)
		return true, nil
	}
}

// holds reports whether a state is the claim of this worker, which others may have noted something
// in.
func (w *Worker) holds(j *job, s state) bool {
	return s.run == j.asked.run && s.kind == claimed && s.owner == w.q.process && s.turn == j.claim.turn
}

// final returns the end of a run, or an error if another worker has to run it.
func (w *Worker) final(j *job, p *prediction.Prediction, err error) (prediction.Past, error) {
	if p == nil {
		return w.unrun(j, err)
	}
	final := p.Past()
	w.mu.Lock()
	late := w.grace != nil && w.grace.Err() != nil
	w.mu.Unlock()
	if late && w.Rerun && final.Status == prediction.Failed {
		return final, errHandedBack
	}
	return final, nil
}

// unrun is the end of a run that the supervisor did not take. It hands back a run that another
// worker may take.
func (w *Worker) unrun(j *job, err error) (prediction.Past, error) {
	p := prediction.New(j.entry.Complete(), prediction.Limits{})
	p.Reset(j.claim.turn)
	var why *prediction.Error
	switch {
	case errors.Is(err, supervisor.ByDeadline):
		p.Finish(canceledResult(j.entry, supervisor.ByDeadline, w.q.config.Now()))
	case errors.As(err, &why) && (why.Code == prediction.Invalid || why.Code == prediction.NotFound):
		p.Finish(prediction.Result{
			Status: prediction.Failed, Error: noLongerFits(why), CompletedAt: w.q.config.Now(),
		})
	default:
		return prediction.Past{}, errHandedBack
	}
	return p.Past(), nil
}

// handBack lets another worker run a job, at once or after a moment: this worker itself may be the
// only one, and have no slot yet. It counts as no attempt.
func (w *Worker) handBack(j *job, atOnce bool) {
	defer w.leave(j)
	next := j.claim
	next.kind, next.payload = returned, payload{body: w.shownOf(j)}
	ctx, cancel := context.WithTimeout(w.q.ctx, patience)
	defer cancel()
	_, err := w.q.broker.put(ctx, next, j.claim.seq, 0)
	if wrongSequence(err) {
		s, _ := w.q.broker.state(ctx, j.key)
		if w.holds(j, s) {
			next.kept, next.cancel = s.kept, s.cancel
			_, err = w.q.broker.put(ctx, next, s.seq, 0)
		}
	}
	if err != nil {
		w.q.config.Log.Warn("hand a prediction back: another worker takes it in a while",
			"id", j.entry.ID, "error", err)
		return
	}
	w.q.counters.Returned.Add(1)
	answer := "-NAK"
	if !atOnce {
		answer = laterAgain
	}
	w.acknowledge(j.msg, answer)
}

// laterAgain lets a message come again after a moment.
var laterAgain = fmt.Sprintf(`-NAK {"delay": %d}`, attempt)

// settle answers for the message of a job as the verdict says, and forgets the job.
func (w *Worker) settle(j *job, v verdict) {
	defer w.leave(j)
	switch v {
	case finish:
		w.acknowledgeEnd(j)
	case putBack:
		w.acknowledge(j.msg, laterAgain) // at once, a state that can't be read would keep it in a loop
	default: // it has no message any more, or another worker answers
	}
}

// acknowledgeEnd owes the webhook of a stored end and takes the message off the queue, until the
// broker answers.
func (w *Worker) acknowledgeEnd(j *job) {
	if j.hasRun() && j.entry.Webhook != "" {
		select {
		case <-j.flushed:
		case <-w.q.ctx.Done():
			return
		}
	}
	for {
		ctx, cancel := context.WithTimeout(w.q.ctx, patience)
		err := w.oweAndAck(ctx, j)
		cancel()
		if err == nil {
			return
		}
		select {
		case <-time.After(attempt):
		case <-w.q.ctx.Done():
			return
		}
	}
}

func (j *job) hasRun() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.run != nil
}

func (w *Worker) oweAndAck(ctx context.Context, j *job) error {
	if err := w.q.owe(ctx, j.place, j.entry, j.claim.payload); err != nil {
		return err
	}
	if _, err := w.q.broker.nc.RequestWithContext(ctx, j.msg.Reply, []byte("+ACK")); err != nil {
		return err
	}
	w.q.broker.discard(ctx, j.place, j.payload)
	return nil
}

// acknowledge answers for a message, without waiting whether that arrives.
func (w *Worker) acknowledge(m *nats.Msg, answer string) {
	if err := w.q.broker.nc.Publish(m.Reply, []byte(answer)); err != nil {
		w.q.config.Log.Debug("answer for a message of the queue", "error", err)
	}
}
