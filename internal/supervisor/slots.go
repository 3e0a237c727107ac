package supervisor

import (
	"context"
	"errors"

	"github.com/coggo/coggo/internal/pool"
	"github.com/coggo/coggo/internal/runner"
)

// The work of a worker for the flights that have a slot.

// hand marks f as given to the process, once the process is ready.
func (w *worker) hand(ctx context.Context, f *flight) (*runner.Process, error) {
	for {
		if ctx.Err() != nil { // many may be canceled at once: none of them needs to run
			return nil, context.Cause(ctx)
		}
		w.s.mu.Lock()
		phase, why := w.s.pool.Phase(w.index), w.s.pool.Reason(w.index)
		process, changed := w.process, w.phaseChanged
		if phase == pool.PhaseReady {
			if err := w.s.fitsLocked(f); err != nil {
				w.s.mu.Unlock()
				return nil, err
			}
			f.stage, f.expectQuick = stageHanded, w.wasQuick
			w.handed[f.fileID] = f
		}
		w.s.mu.Unlock()
		switch phase {
		case pool.PhaseReady:
			return process, nil
		case pool.PhaseSetupFailed, pool.PhaseDefunct:
			return nil, errors.New(why)
		case pool.PhaseStarting, pool.PhaseEnding: // wait for the next phase
		}
		f.startDisconnectWatch()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// lent returns the pipe of p if its predictions run alone, else nil.
func (w *worker) lent(p process) *runner.Lent {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.setup.MaxConcurrency > 1 {
		return nil
	}
	return p.Lent()
}

// handedFlights returns the number of flights that the process has.
func (w *worker) handedFlights() (n int) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	for f := range w.s.pool.Running(w.index) {
		if f.stage != stageServer {
			n++
		}
	}
	return n
}

// abandon marks f as finished although its process is still running it. It reports whether the
// process runs nothing else, so that the caller has to kill it.
func (w *worker) abandon(f *flight) (alone bool) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	alone = w.s.pool.Abandon(f, f.slot)
	if alone {
		w.replaceLocked()
	} else {
		f.stage = stageAbandoned
	}
	return alone
}

// leftLocked handles the end of a flight that had a slot. abandoned are the ids that the process is
// still running, if it runs nothing else: then another process replaces it.
func (w *worker) leftLocked(f *flight, abandoned []string) {
	if f.stage != stageAbandoned {
		delete(w.handed, f.fileID)
	}
	w.wasQuick = f.wasQuick && w.setup.MaxConcurrency == 1
	w.slotFreed.notify()
	if len(abandoned) > 0 {
		w.replaceLocked()
		go w.end(w.process, whyReplaced(abandoned, w.s.config.CancelGrace))
	}
}

// replaceLocked prepares for the kill of the process. It gets no more predictions.
func (w *worker) replaceLocked() {
	w.replaced = true
	w.s.pool.Explain(w.index,
		"the model process went on with a canceled prediction and is being replaced")
	w.setPhaseLocked(pool.PhaseEnding)
}
