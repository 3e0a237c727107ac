package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/supervisor"
)

// job is one message of a worker: a prediction from its delivery to its end in the broker.
type job struct {
	asked
	msg       *nats.Msg
	delivered uint64    // how often the message came, this time included
	queued    time.Time // when the broker stored it
	entry     prediction.Entry
	claim     state         // what this worker has stored last; its sequence is the fencing token
	flushed   chan struct{} // closed when all webhooks before the terminal one have gone out
	flush     func()        // closes it

	mu       sync.Mutex // guards the rest
	run      *prediction.Prediction
	canceled supervisor.Reason // before there was a run
	sent     chan struct{}     // closed when all events are sent; nil if nobody follows the run
	sending  bool              // they are being sent
}

// cancel ends the run, now or as soon as there is one.
func (j *job) cancel(s Supervisor, reason supervisor.Reason) {
	j.mu.Lock()
	run := j.run
	j.canceled = reason
	j.mu.Unlock()
	if run != nil {
		_ = s.Cancel(run, reason) // an error says that it has ended
	}
}

// verdict is what is to be done with a message whose state has been looked at.
type verdict int

const (
	runIt   verdict = iota // the claim is this worker's
	dropIt                 // another worker has it: no answer, its heartbeats go on
	finish                 // it has ended: owe the webhook, and acknowledge
	putBack                // the broker does not answer: let it come again
)

// handle takes one message from its delivery to its end. It returns when the slot is free; what
// follows then goes on in the background.
func (w *Worker) handle(msg *nats.Msg) {
	j, err := w.read(msg)
	if err != nil {
		w.q.config.Log.Error("a message of the queue can't be read", "subject", msg.Subject, "error", err)
		w.free()
		if errors.Is(err, errLost) {
			w.acknowledge(msg, "+TERM")
		}
		return
	}
	w.mu.Lock()
	if _, twice := w.jobs[j.asked.run]; twice {
		w.mu.Unlock()
		w.free()
		return // it came again although this worker has it
	}
	w.jobs[j.asked.run] = j
	w.work.Add(1)
	w.mu.Unlock()
	w.perform(j)
}

// leave ends the worker's part in a job.
func (w *Worker) leave(j *job) {
	if j.run != nil && j.run.Status().Terminal() && w.q.ctx.Err() == nil {
		w.Supervisor.Stored(j.run) // or of no use: another worker has it
	}
	w.mu.Lock()
	delete(w.jobs, j.asked.run)
	w.mu.Unlock()
	w.work.Done()
}

// read reads a message.
func (w *Worker) read(msg *nats.Msg) (*job, error) {
	about, err := msg.Metadata()
	if err != nil {
		return nil, errors.Join(errLost, err)
	}
	a, err := askedOf(msg.Subject, about.Sequence.Stream, msg.Header, msg.Data)
	if errors.Is(err, errFormat) {
		return nil, err // a later version may read it
	}
	if err != nil {
		return nil, errors.Join(errLost, err)
	}
	ctx, cancel := context.WithTimeout(w.q.ctx, time.Minute)
	defer cancel()
	data, err := w.q.broker.load(ctx, a.payload)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil, errors.Join(errLost, err)
	}
	if err != nil {
		return nil, err
	}
	entry, err := readEntry(data)
	if err != nil {
		return nil, errors.Join(errLost, err)
	}
	j := &job{asked: a, msg: msg, delivered: about.NumDelivered, queued: about.Timestamp, entry: entry, flushed: make(chan struct{})}
	j.flush = sync.OnceFunc(func() { close(j.flushed) })
	if a.follow {
		j.sent = make(chan struct{})
	}
	return j, nil
}

// perform runs a job until its slot is free. What follows goes on in the background.
func (w *Worker) perform(j *job) {
	claim, v := w.begin(j)
	if v != runIt {
		w.free()
		go w.settle(j, v)
		return
	}
	p, err := w.start(j)
	if err == nil {
		<-p.Done()
	}
	w.free() // the next prediction need not wait until the broker has answered the claim
	go func() { w.conclude(j, claim(), p, err) }()
}

// conclude ends a run as the broker has answered its claim.
func (w *Worker) conclude(j *job, claim claimAnswer, p *prediction.Prediction, err error) {
	switch claim {
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

// claimAnswer is what has become of a claim.
type claimAnswer int

const (
	claimHeld       claimAnswer = iota
	claimRefused                // the run was canceled: its result is of no use
	claimUnanswered             // the broker has not answered, or has gone: the run went on
)

func alreadyHeld() claimAnswer { return claimHeld }

// begin claims a job. At its first delivery that happens beside the handover to the model: claim
// waits for the answer.
func (w *Worker) begin(j *job) (claim func() claimAnswer, v verdict) {
	if j.delivered > 1 {
		w.q.counters.Redelivered.Add(1)
		return alreadyHeld, w.contend(j)
	}
	j.claim = w.claimOf(j, 1)
	future, err := w.q.broker.js.PublishMsgAsync(j.claim.message(), follows(j.key, j.after))
	if err != nil {
		return alreadyHeld, w.contend(j)
	}
	answer := make(chan claimAnswer, 1)
	go func() { answer <- w.awaitClaim(j, future) }()
	return func() claimAnswer { return <-answer }, runIt
}

// awaitClaim returns the broker's answer to a claim. If it is refused the run is canceled.
func (w *Worker) awaitClaim(j *job, future jetstream.PubAckFuture) claimAnswer {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case ack := <-future.Ok():
		j.claim.seq = ack.Sequence
		return claimHeld
	case err := <-future.Err():
		if !wrongSequence(err) {
			return claimUnanswered
		}
		j.mu.Lock()
		run := j.run
		j.mu.Unlock()
		if run != nil {
			_ = w.Supervisor.Cancel(run, supervisor.ByClient) // an error says that it has ended
		}
		return claimRefused
	case <-late.C:
		return claimUnanswered
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

// claimOf is the claim of this worker.
func (w *Worker) claimOf(j *job, attempt int) state {
	p := prediction.New(j.entry.Complete(), prediction.Limits{})
	p.Start(w.q.config.Now())
	shown := p.Snapshot()
	if !w.q.broker.fits(shown.Len()) {
		shown = shown.Short()
	}
	return state{
		place: j.place, kind: claimed, run: j.asked.run, owner: w.q.process, attempt: attempt,
		input: j.asked.input, method: j.entry.Method,
		payload: payload{body: shown.AppendJSON(nil)},
	}
}

// contend looks at the state of a job whose claim was refused, or that came again, and claims it if
// nobody has it.
func (w *Worker) contend(j *job) verdict {
	ctx, cancel := context.WithTimeout(w.q.ctx, patience)
	defer cancel()
	for ctx.Err() == nil {
		s, old, err := w.stateOf(ctx, j)
		if err != nil {
			break
		}
		if old {
			return dropIt
		}
		attempt := s.attempt + 1
		switch {
		case s.kind == ended:
			j.claim = s
			return finish
		case s.kind == claimed && s.owner == w.q.process:
			j.claim = s // the answer to the claim was lost
			return w.unlessCanceled(ctx, j, s)
		case s.kind == claimed && j.delivered == 1:
			return dropIt
		case s.kind == claimed:
			if v, over := w.takeOver(ctx, j, s); over {
				return v
			}
		case s.kind == returned:
			attempt = max(1, s.attempt) // to be handed back counts as no attempt
		}
		if s.cancel != "" {
			return w.unlessCanceled(ctx, j, s)
		}
		next := w.claimOf(j, attempt)
		seq, err := w.q.broker.put(ctx, next, s.seq, 0)
		if err == nil {
			next.seq = seq
			j.claim = next
			return runIt
		}
		if !wrongSequence(err) {
			break
		}
	}
	return putBack
}

// stateOf returns the state of a job, which has a sequence alone as long as nobody has claimed it. An
// old message is one that lay in this worker while another one ended the job: the state is of a
// later run then.
func (w *Worker) stateOf(ctx context.Context, j *job) (s state, old bool, err error) {
	s, err = w.q.broker.state(ctx, j.key)
	if err != nil || s.run == j.asked.run {
		return s, false, err
	}
	if s.seq != j.after {
		waiting, found, err := w.q.broker.asked(ctx, j.key)
		if err != nil || !found || waiting.run != j.asked.run {
			return s, true, err
		}
	}
	return state{seq: s.seq}, false, nil
}

// unlessCanceled ends a job that was canceled before it could run.
func (w *Worker) unlessCanceled(ctx context.Context, j *job, s state) verdict {
	if s.cancel == "" {
		return runIt
	}
	reason := supervisor.Reason(s.cancel)
	return w.endUnrun(ctx, j, s, canceledResult(j.entry, reason, w.q.config.Now()))
}

// takeOver ends a job whose worker was lost, if it may not run again. It drops one whose worker is
// still there.
func (w *Worker) takeOver(ctx context.Context, j *job, s state) (v verdict, over bool) {
	if w.stillHas(ctx, s) {
		return dropIt, true
	}
	w.q.counters.TakenOver.Add(1)
	var why string
	switch {
	case s.cancel != "":
		return 0, false
	case !w.Rerun:
		why = workerLost
	case s.attempt >= w.MaxAttempts:
		why = lostTooOften(s.attempt)
	default:
		w.q.config.Log.Warn("running again what a lost worker had", "id", j.entry.ID, "attempt", s.attempt+1)
		return 0, false
	}
	return w.endUnrun(ctx, j, s, prediction.Result{Status: prediction.Failed, Error: why, CompletedAt: w.q.config.Now()}), true
}

// endUnrun stores the end of a job that does not run.
func (w *Worker) endUnrun(ctx context.Context, j *job, s state, r prediction.Result) verdict {
	err := w.q.endUnrun(ctx, j.asked, j.entry, s, s.seq, r)
	switch {
	case err == nil:
		return dropIt // the message is deleted
	case wrongSequence(err):
		return w.contend(j)
	default:
		return putBack
	}
}

// start hands a job to the supervisor.
func (w *Worker) start(j *job) (*prediction.Prediction, error) {
	r := j.entry.Complete()
	if !r.Deadline.IsZero() && !w.q.config.Now().Before(r.Deadline) {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.canceled = supervisor.ByDeadline
		return nil, supervisor.ByDeadline
	}
	r.Lease = &prediction.Lease{Run: j.asked.run, Owner: w.q.process, Attempt: j.claim.attempt, Queued: j.queued}
	r.Detached = false // the broker has it: nothing has to be on this disk before it runs
	p, _, err := w.Supervisor.Create(r, false)
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	j.run = p
	canceled := j.canceled
	w.sendLocked(j)
	j.mu.Unlock()
	if canceled != "" {
		_ = w.Supervisor.Cancel(p, canceled) // an error says that it has ended
	}
	return p, nil
}

// end stores how a run has ended, until the broker answers. err is why there was no run.
func (w *Worker) end(j *job, p *prediction.Prediction, err error) {
	final, err := w.final(j, p, err)
	if err != nil {
		w.handBack(j, p != nil)
		return
	}
	if p != nil {
		j.awaitEvents()
	}
	next := j.claim
	next.kind, next.streamed = ended, len(final.Items) > 0
	for w.q.ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(w.q.ctx, storing(final))
		next.payload, err = w.q.broker.storeEnd(ctx, endObject(j.asked.run, j.claim.seq), final)
		if err == nil {
			_, err = w.q.broker.put(ctx, next, j.claim.seq, w.q.config.RetainFor)
		}
		cancel()
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

// awaitEvents returns when those who follow the run have been sent all of its events: the end comes
// after them.
func (j *job) awaitEvents() {
	j.mu.Lock()
	sent := j.sent
	if sent == nil {
		j.sent, j.sending = closed, true // nobody begins to follow it now
	}
	j.mu.Unlock()
	if sent != nil {
		<-sent
	}
}

// closed is a channel that is closed.
var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// fenced looks why an end was refused. It reports whether that is all: the end is stored, or
// another worker has the run.
func (w *Worker) fenced(j *job, next *state) (done bool, err error) {
	ctx, cancel := context.WithTimeout(w.q.ctx, patience)
	defer cancel()
	s, err := w.q.broker.state(ctx, j.key)
	switch {
	case err != nil:
		return false, err
	case s.run == j.asked.run && s.kind == claimed && s.owner == w.q.process && s.attempt == j.claim.attempt:
		j.claim.seq, next.cancel = s.seq, s.cancel // somebody has canceled it
		w.q.broker.discard(ctx, next.payload)
		return false, nil
	case s.run == j.asked.run && s.kind == ended && s.owner == w.q.process && s.attempt == j.claim.attempt:
		j.claim = s
		w.settle(j, finish) // the answer was lost
		return true, nil
	default:
		w.q.counters.Fenced.Add(1)
		w.q.config.Log.Warn("another worker has taken over: the result is dropped", "id", j.entry.ID)
		w.q.broker.discard(ctx, next.payload)
		w.leave(j)
		return true, nil
	}
}

// final is the end of a run; an error says that it has none, and must run elsewhere.
func (w *Worker) final(j *job, p *prediction.Prediction, err error) (prediction.Snapshot, error) {
	if p == nil {
		return w.unrun(j, err)
	}
	final := p.Final()
	w.mu.Lock()
	late := w.late
	w.mu.Unlock()
	if late && w.Rerun && final.Status == prediction.Failed {
		return final, errHandedBack
	}
	return final, nil
}

// unrun is the end of a run that the supervisor did not take. What another worker may take is
// handed back.
func (w *Worker) unrun(j *job, err error) (prediction.Snapshot, error) {
	p := prediction.New(j.entry.Complete(), prediction.Limits{})
	var why *prediction.Error
	switch {
	case errors.Is(err, supervisor.ByDeadline):
		p.Finish(canceledResult(j.entry, supervisor.ByDeadline, w.q.config.Now()))
	case errors.As(err, &why) && (why.Code == prediction.Invalid || why.Code == prediction.NotFound):
		p.Finish(prediction.Result{Status: prediction.Failed, Error: noLongerFits(why), CompletedAt: w.q.config.Now()})
	default:
		return prediction.Snapshot{}, errHandedBack
	}
	return p.Final(), nil
}

// handBack lets another worker run a job, at once or after a moment: this worker itself may be the
// only one, and have no slot yet. It counts as no attempt.
func (w *Worker) handBack(j *job, atOnce bool) {
	defer w.leave(j)
	next := j.claim
	next.kind = returned
	ctx, cancel := context.WithTimeout(w.q.ctx, patience)
	defer cancel()
	if _, err := w.q.broker.put(ctx, next, j.claim.seq, 0); err != nil {
		w.q.config.Log.Warn("hand a prediction back: another worker takes it in a while", "id", j.entry.ID, "error", err)
		return
	}
	w.q.counters.Returned.Add(1)
	answer := "-NAK"
	if !atOnce {
		answer = fmt.Sprintf(`-NAK {"delay": %d}`, attempt)
	}
	w.acknowledge(j.msg, answer)
}

// settle does what is left to do for a message.
func (w *Worker) settle(j *job, v verdict) {
	defer w.leave(j)
	switch v {
	case finish:
		w.acknowledgeEnd(j)
	case putBack:
		w.acknowledge(j.msg, "-NAK")
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
	w.q.broker.discard(ctx, j.payload)
	return nil
}

// acknowledge answers for a message, without waiting whether that arrives.
func (w *Worker) acknowledge(m *nats.Msg, answer string) {
	if err := w.q.broker.nc.Publish(m.Reply, []byte(answer)); err != nil {
		w.q.config.Log.Debug("answer for a message of the queue", "error", err)
	}
}
