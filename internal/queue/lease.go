package queue

import (
	"context"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/coggo/coggo/internal/supervisor"
)

// checkClaims looks whether the runs of this worker are still its own. While it was stopped, or had
// no broker, another worker may have taken over, and a cancel may have been missed.
func (w *Worker) checkClaims() {
	w.mu.Lock()
	jobs := make([]*job, 0, len(w.jobs))
	for _, j := range w.jobs {
		if j.hasRun() {
			jobs = append(jobs, j)
		}
	}
	w.mu.Unlock()
	for {
		jobs = slices.DeleteFunc(jobs, w.checkClaim)
		if len(jobs) == 0 || !w.q.broker.connected() { // once it is, all are checked again
			return
		}
		select {
		case <-time.After(attempt):
		case <-w.q.ctx.Done():
			return
		}
	}
}

// checkClaim ends a run that was canceled, or whose end would be refused. It reports whether that
// is known now: a broker may not answer, and a later version may have written the state.
func (w *Worker) checkClaim(j *job) bool {
	w.mu.Lock()
	_, there := w.jobs[j.asked.run]
	w.mu.Unlock()
	if !there {
		return true
	}
	ctx, cancel := context.WithTimeout(w.q.ctx, patience)
	defer cancel()
	s, err := w.q.broker.state(ctx, j.key)
	switch {
	case err != nil:
		return false
	case s.run != j.asked.run: // its message is old, which the end of the run finds
	case s.kind == claimed && s.owner == w.q.process && s.cancel != "":
		j.cancel(w.Supervisor, supervisor.Reason(s.cancel))
	case s.kind == claimed && s.owner != w.q.process, s.kind == ended:
		j.cancel(w.Supervisor, supervisor.ByClient)
	}
	return true
}

// allBack is how long after a broker has come back all workers are connected again, if they live: an
// attempt to connect that began too early takes up to connectFor, and the next one comes soon after.
const allBack = 2 * connectFor

// askOwnerAgain is how soon an owner that did not answer is asked again.
const askOwnerAgain = 100 * time.Millisecond

// stillHas asks the owner of a claim whether it still has the run. After a while without a broker
// messages come again although their workers were not silent: nobody could hear them.
func (w *Worker) stillHas(ctx context.Context, s state) bool {
	question := nats.NewMsg(ownerSubject(s.model, s.owner))
	question.Header.Set(headerRun, s.run)
	for {
		asking, cancel := context.WithTimeout(ctx, attempt)
		_, err := w.q.broker.nc.RequestMsgWithContext(asking, question)
		cancel()
		if err == nil {
			return true
		}
		if time.Since(time.Unix(0, w.q.broker.since.Load())) > allBack {
			return false
		}
		select {
		case <-time.After(askOwnerAgain):
		case <-ctx.Done():
			return false
		}
	}
}

// hearQuestion answers if this worker has the run. A process that asks for another run gets no
// answer, and takes the run over.
func (w *Worker) hearQuestion(m *nats.Msg) {
	w.mu.Lock()
	_, has := w.jobs[m.Header.Get(headerRun)]
	w.mu.Unlock()
	if has {
		_ = m.Respond(nil) // without an answer another worker takes over
	}
}
