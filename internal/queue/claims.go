package queue

import (
	"context"
	"time"

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
	for _, j := range jobs {
		for !w.checkClaim(j) && w.q.broker.connected() { // if it is not, all are checked again later
			select {
			case <-time.After(attempt):
			case <-w.q.ctx.Done():
				return
			}
		}
	}
}

// checkClaim ends a run that was canceled, or whose end would be refused. It reports whether the
// broker has answered.
func (w *Worker) checkClaim(j *job) bool {
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
		j.mu.Lock()
		run := j.run
		j.mu.Unlock()
		_ = w.Supervisor.Cancel(run, supervisor.ByClient) // an error says that it has ended
	}
	return true
}
