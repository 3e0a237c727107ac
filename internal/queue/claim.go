package queue

import (
	"context"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/supervisor"
)

// verdict is what is to be done with a message whose state has been looked at.
type verdict int

const (
	runIt   verdict = iota // the claim is this worker's
	dropIt                 // another worker has it: no answer, its heartbeats go on
	finish                 // it has ended: owe the webhook, and acknowledge
	putBack                // the broker does not answer: let it come again
)

// claimAnswer is what has become of a claim.
type claimAnswer int

const (
	claimHeld       claimAnswer = iota
	claimRefused                // the run was canceled: its result is of no use
	claimUnanswered             // the broker has not answered, or was not asked: the run went on
)

// heldBack is how long the claim of a run that is expected to be short is held back. Most of what
// such a run costs is messages: if it is over by then, its end takes the place of the claim. That
// saves the broker a write, and all processes that hear of it a message: with one client a no-op
// took 1.60 ms instead of 1.94, and 32 clients of 64 slots had 2,811 ends per second instead of
// 2,483, on two processors that had other work. 5 ms gained about half as much for the latter,
// because runs take longer when there are many.
const heldBack = 20 * time.Millisecond

// begin claims a job. At its first delivery the run does not wait for that.
func (w *Worker) begin(j *job) verdict {
	if j.delivered > 1 || j.again {
		w.q.counters.Redelivered.Add(1)
		return w.contend(j)
	}
	j.claim = w.claimOf(j, 1, 1) // without a body: claimNow adds it
	j.mu.Lock()
	j.unclaimed = true
	j.mu.Unlock()
	if w.mayHoldBack(j) {
		w.claimLater(j)
	} else {
		w.claimNow(j)
	}
	return runIt
}

// mayHoldBack reports whether a first claim may be held back: the run before was short, and nobody
// but this worker can know that the run has begun. If the worker is lost, others take a run without
// a claim for one that has not begun. So it claims at once if they must not run it again.
func (w *Worker) mayHoldBack(j *job) bool {
	return w.short.Load() && w.Rerun && w.MaxAttempts > 1 && !j.asked.follow && j.entry.Webhook == ""
}

// claimLater claims a job after heldBack, unless it is over by then. One timer serves all jobs,
// because most of them need none.
func (w *Worker) claimLater(j *job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unclaimed = append(w.unclaimed, j)
	if len(w.unclaimed) == 1 {
		time.AfterFunc(heldBack, w.claimDue)
	}
}

// claimDue claims the jobs that have run for heldBack.
func (w *Worker) claimDue() {
	w.mu.Lock()
	n := 0
	for n < len(w.unclaimed) && time.Since(w.unclaimed[n].begun) >= heldBack {
		n++
	}
	due := w.unclaimed[:n]
	w.unclaimed = slices.Clone(w.unclaimed[n:])
	if len(w.unclaimed) > 0 {
		time.AfterFunc(heldBack-time.Since(w.unclaimed[0].begun), w.claimDue)
	}
	w.mu.Unlock()
	for _, j := range due {
		w.claimNow(j)
	}
}

// claimNow publishes the claim of a first delivery, unless it is published or the run is over.
func (w *Worker) claimNow(j *job) {
	j.mu.Lock()
	first := j.unclaimed
	if first {
		j.unclaimed, j.claiming = false, make(chan claimAnswer, 1)
	}
	j.mu.Unlock()
	if !first {
		return
	}
	claim := j.claim
	claim.body = w.shownOf(j)
	future, err := w.q.broker.js.PublishMsgAsync(claim.message(), follows(j.key, j.after))
	if err != nil {
		j.claiming <- claimUnanswered
		return
	}
	go func() { j.claiming <- w.awaitClaim(j, future) }()
}

// unclaim prevents any later claim of a job, because its run is over. It reports whether there was
// no claim before.
func (j *job) unclaim() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	unclaimed := j.unclaimed
	j.unclaimed = false
	return unclaimed
}

// claimed returns what has become of the claim of a job whose run is over.
func (j *job) claimed() claimAnswer {
	switch {
	case j.claiming != nil:
		return <-j.claiming
	case j.claim.seq > 0: // it was claimed before it ran
		return claimHeld
	default:
		return claimUnanswered
	}
}

// awaitClaim returns the broker's answer to a claim. If it is refused the run is canceled.
func (w *Worker) awaitClaim(j *job, future jetstream.PubAckFuture) claimAnswer {
	select {
	case ack := <-future.Ok():
		j.claim.seq = ack.Sequence
		return claimHeld
	case err := <-future.Err():
		if !wrongSequence(err) {
			return claimUnanswered
		}
		if w.claimKept(j) {
			return claimHeld
		}
		j.cancel(w.Supervisor, supervisor.ByClient)
		return claimRefused
	}
}

// claimKept claims a run whose first claim was refused, if that was only because somebody has asked
// for it again.
func (w *Worker) claimKept(j *job) bool {
	ctx, cancel := context.WithTimeout(w.q.ctx, patience)
	defer cancel()
	s, err := w.q.broker.state(ctx, j.key)
	if err != nil || s.run != j.asked.run || s.kind != returned || s.turn > 0 || s.cancel != "" {
		return false
	}
	return w.claimAfter(ctx, j, s, 1) == nil
}

// claimAfter claims a job whose state is s.
func (w *Worker) claimAfter(ctx context.Context, j *job, s state, attempt int) (err error) {
	next := w.claimOf(j, attempt, s.turn+1)
	next.body, next.kept = w.shownOf(j), s.kept
	next.seq, err = w.q.broker.put(ctx, next, s.seq, 0)
	if wrongSequence(err) && w.q.broker.narrow && s.run == "" {
		next.seq, err = w.q.broker.put(ctx, next, j.after, 0) // the state before is of another model
	}
	if err == nil {
		j.claim = next
	}
	return err
}

// claimOf is the claim of this worker, without its body.
func (w *Worker) claimOf(j *job, attempt, turn int) state {
	return state{
		place: j.place, kind: claimed, run: j.asked.run, owner: w.q.process, host: w.host,
		attempt: attempt, turn: turn, input: j.asked.input, method: j.entry.Method,
	}
}

// shownOf is what clients are shown of a job that runs.
func (w *Worker) shownOf(j *job) []byte {
	p := prediction.New(j.entry.Complete(), prediction.Limits{})
	p.Start(j.begun)
	shown := p.Snapshot()
	if !w.q.broker.fits(shown.Len()) {
		shown = shown.Short()
	}
	return shown.AppendJSON(nil)
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
		}
		if s.cancel != "" {
			return w.unlessCanceled(ctx, j, s)
		}
		if err = w.claimAfter(ctx, j, s, j.nextAttempt(s)); err == nil {
			return runIt
		}
		if !wrongSequence(err) {
			break
		}
	}
	return putBack
}

// nextAttempt is the number of the run that begins with a claim of a job whose state is s.
func (j *job) nextAttempt(s state) int {
	switch {
	case s.turn == 0 && j.delivered > 1:
		return 2 // a worker was lost while it held the claim back
	case s.kind == returned:
		return max(1, s.attempt) // to be handed back counts as no attempt
	}
	return s.attempt + 1
}

// stateOf returns the state of a job, which has a sequence alone as long as nobody has claimed it.
// An old message is one that lay in this worker while another one ended the job: the state is of a
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
	return w.endUnrun(ctx, j, s, prediction.Result{
		Status: prediction.Failed, Error: why, CompletedAt: w.q.config.Now(),
	}), true
}

// endUnrun stores the end of a job that does not run.
func (w *Worker) endUnrun(ctx context.Context, j *job, s state, r prediction.Result) verdict {
	err := w.q.endUnrun(ctx, j.asked, j.entry, s, s.seq, r)
	switch {
	case err == nil && w.q.broker.narrow:
		w.acknowledge(j.msg, "+ACK") // if it is lost, the message comes again
		return dropIt
	case err == nil:
		return dropIt // the message is deleted
	case wrongSequence(err):
		return w.contend(j)
	default:
		return putBack
	}
}
