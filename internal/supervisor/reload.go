package supervisor

import (
	"errors"
	"os"
	"time"

	"github.com/coggo/coggo/internal/admission"
	"github.com/coggo/coggo/internal/pool"
	"github.com/coggo/coggo/internal/runner"
)

// The model while an author works on it: each time its files have changed, every runner ends and
// another one takes its place. That is no crash, so neither the restarts nor the backoff count.

// edition is the model as it was on disk at one time.
type edition struct {
	entry  runner.Entry
	broken error           // why there is nothing to load
	why    string          // the reason for clients until it is loaded
	over   <-chan struct{} // closed when the next edition is there; nil when there is never another
	end    func()          // closes it
}

func newEdition(entry runner.Entry, reloads bool) edition {
	e := edition{entry: entry}
	if reloads {
		over := make(chan struct{})
		e.over, e.end = over, func() { close(over) }
	}
	return e
}

// Reload lets every runner end, and starts others that load entry. Predictions may go on for
// ReloadGrace and fail then; new ones are refused until a runner is ready. Instead of loading
// anything, a broken model fails its setup with that error. It needs Reloads, and may be called
// from one goroutine.
func (s *Supervisor) Reload(entry runner.Entry, broken error, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending.Err() != nil {
		return
	}
	s.edition.end()
	s.edition = newEdition(entry, true)
	s.edition.broken, s.edition.why = broken, why
	for _, w := range s.workers {
		s.pool.Explain(w.index, why)
		switch s.pool.Phase(w.index) {
		case pool.PhaseReady:
			w.setPhaseLocked(pool.PhaseEnding)
		case pool.PhaseSetupFailed, pool.PhaseDefunct:
			w.setPhaseLocked(pool.PhaseStarting)
		case pool.PhaseStarting, pool.PhaseEnding: // it finds the new edition by itself
		}
	}
}

// Renewed is closed at the next Reload; it is nil without Reloads.
func (s *Supervisor) Renewed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.edition.over
}

// outdated reports whether there is a newer edition than that of w's process. Who is not the
// goroutine of keep needs the lock.
func (w *worker) outdated() bool {
	select {
	case <-w.renewed:
		return true
	default:
		return false
	}
}

// awaitEdition returns when there is something new to load after what could not be kept, and
// reports whether there is.
func (w *worker) awaitEdition() bool {
	if w.renewed == nil {
		return false
	}
	if w.outdated() {
		return true
	}
	if w.s.ending.Err() == nil {
		w.s.config.Log.Info("the next change of its files reloads the model", "runner", w.index)
	}
	select {
	case <-w.renewed:
		return true
	case <-w.s.ending.Done():
		return false
	}
}

// retire ends an outdated process, which may be nil, once its predictions have ended.
func (w *worker) retire(process *runner.Process) {
	if process == nil {
		return
	}
	w.finishFlights(process)
	if !w.dismiss(process, time.Now().Add(stopWait), w.s.stopping.Done()) {
		w.end(process, errOutdated.Error())
	}
	<-process.Done()
	w.awaitFlights()
}

// finishFlights returns when no prediction is left in the process.
func (w *worker) finishFlights(process *runner.Process) {
	count := w.handedFlights()
	if count > 0 {
		w.s.config.Log.Info("predictions may end before the model is reloaded", "runner", w.index, "predictions", count, "grace", w.s.config.ReloadGrace)
	}
	late := time.After(w.s.config.ReloadGrace)
	for ; count > 0; count = w.handedFlights() {
		select {
		case <-w.slotFreed:
		case <-process.Done():
			return
		case <-late:
			w.cancelHanded(ByReload)
		}
	}
}

func (w *worker) cancelHanded(r Reason) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	for f := range w.s.pool.Running(w.index) {
		if f.stage != stageServer {
			f.cancel(r)
		}
	}
}

// errOutdated is for a process of an older edition, and for a prediction whose input was checked
// for another model than the one that is loaded by now.
var errOutdated = errors.New("the model has changed")

// fitsLocked returns errOutdated, or a *prediction.Error when the model has no such method any
// more.
func (s *Supervisor) fitsLocked(f *flight) error {
	input, err := admission.Input(s.schema, f.prediction.Request.Method)
	if err == nil && input != f.against {
		err = errOutdated
	}
	return err
}

// outdate makes the server check the input of f, and fetch its files, again.
func (f *flight) outdate() {
	f.recheck = true
	if f.inputs != "" {
		_ = os.RemoveAll(f.inputs) // the rest goes with the parent directory
		f.inputs = ""
	}
}

// AtWork reports whether the model was being set up, or ran a prediction that is still known, at a
// time: what has changed on disk then may be its own doing.
func (s *Supervisor) AtWork(t time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.workers {
		if during(t, w.setup.StartedAt, w.setup.CompletedAt) {
			return true
		}
	}
	for f := range s.pool.All() {
		if snap := f.prediction.Snapshot(); during(t, snap.StartedAt, snap.CompletedAt) {
			return true
		}
	}
	return false
}

// ClockTick is as much as the time of a file may be behind: the kernel takes that of its last tick.
const ClockTick = 20 * time.Millisecond

func during(t, started, completed time.Time) bool {
	return !started.IsZero() && !t.Before(started.Add(-ClockTick)) && (completed.IsZero() || !t.After(completed))
}
