package supervisor

import (
	"errors"
	"os"
	"time"

	"github.com/coggo/coggo/internal/admission"
	"github.com/coggo/coggo/internal/pool"
	"github.com/coggo/coggo/internal/runner"
)

// Reloading, while an author works on the model: each time its files have changed, every runner
// ends and another one takes its place. Because that is not a crash, neither the restarts nor the
// backoff count it.

// edition is the model as it was on disk at one time.
type edition struct {
	entry  runner.Entry
	broken error           // why it cannot be loaded
	why    string          // the reason that clients read until it is loaded
	over   <-chan struct{} // closed by the next edition; nil if there will be none
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

// Reload ends every runner, and starts others that load entry. Predictions may go on for
// ReloadGrace, and fail then. New ones are refused until a runner is ready. With broken, nothing is
// loaded: setup fails with that error. Reload needs Config.Reloads. Only one goroutine may call it.
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
		case pool.PhaseStarting, pool.PhaseEnding: // the worker sees the new edition itself
		}
	}
}

// Renewed returns a channel that the next Reload closes, nil without Reloads.
func (s *Supervisor) Renewed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.edition.over
}

// outdated reports whether there is a newer edition than that of w's process. Goroutines other than
// that of keep need the lock.
func (w *worker) outdated() bool {
	select {
	case <-w.renewed:
		return true
	default:
		return false
	}
}

// awaitEdition waits for another edition after the last one has failed or ended, and reports
// whether there is one.
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

// retire ends an outdated process once its predictions have finished. The process may be nil.
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
		w.s.config.Log.Info("predictions may end before the model is reloaded",
			"runner", w.index, "predictions", count, "grace", w.s.config.ReloadGrace)
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

// errOutdated says that a process belongs to an older edition, or that the input of a prediction
// was checked for another model than the one that is loaded now.
var errOutdated = errors.New("the model has changed")

// fitsLocked returns errOutdated, or a *prediction.Error if the model no longer has the method.
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
		_ = os.RemoveAll(f.inputs) // the rest is removed with the parent directory
		f.inputs = ""
	}
}

// AtWork reports whether, at a time, the model was being set up or ran a prediction that is still
// known. The model itself may have made a change at such a time.
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

// ClockTick is how far the time of a file may be behind: the kernel uses the time of its last tick.
const ClockTick = 20 * time.Millisecond

func during(t, started, completed time.Time) bool {
	return !started.IsZero() && !t.Before(started.Add(-ClockTick)) &&
		(completed.IsZero() || !t.After(completed))
}
