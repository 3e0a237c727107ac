package supervisor

import (
	"context"
	"errors"

	"github.com/coggo/coggo/internal/runner"
	"github.com/coggo/coggo/internal/spool"
)

// The slots of a worker: who has one, and when it is free again.

// freeLocked is the number of free slots.
func (w *worker) freeLocked() int {
	if w.phase != phaseReady {
		return 0
	}
	return w.setup.MaxConcurrency - w.takenLocked()
}

// takenLocked is the number of slots that are taken.
func (w *worker) takenLocked() int { return len(w.flights) + len(w.abandoned) }

// takeLocked gives f a slot.
func (w *worker) takeLocked(f *flight) {
	w.flights[spool.FileID(f.id())] = f
	f.dir = w.dir
	w.s.tickLocked()
	f.turn <- w
}

// hand marks f as given to the process, once there is a ready one.
func (w *worker) hand(ctx context.Context, f *flight) (*runner.Process, error) {
	for {
		w.s.mu.Lock()
		p, why, process, turned := w.phase, w.why, w.process, w.turned
		if p == phaseReady {
			if err := w.s.fitsLocked(f); err != nil {
				w.s.mu.Unlock()
				return nil, err
			}
			f.handed, f.soon = true, w.brief
		}
		w.s.mu.Unlock()
		switch p {
		case phaseReady:
			return process, nil
		case phaseSetupFailed, phaseDefunct:
			return nil, errors.New(why)
		}
		f.mayLast()
		select {
		case <-turned:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// lent is the pipe of p if its predictions run alone, else nil.
func (w *worker) lent(p process) *runner.Lent {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.setup.MaxConcurrency > 1 {
		return nil
	}
	return p.Lent()
}

func (w *worker) handedFlights() (n int) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	for _, f := range w.flights {
		if f.handed {
			n++
		}
	}
	return n
}

// abandon notes that f ends although its process goes on with it. It reports whether the process
// has nothing else to do, so that the caller is to kill it.
func (w *worker) abandon(f *flight) (alone bool) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if len(w.flights) == 1 {
		w.replaceLocked()
		return true
	}
	f.abandoned = true
	w.abandoned[spool.FileID(f.id())] = f
	return false
}

// freeSlotLocked ends what takeLocked began. A process that only goes on with abandoned predictions
// is replaced.
func (w *worker) freeSlotLocked(f *flight) {
	delete(w.flights, spool.FileID(f.id()))
	w.brief = f.brief && w.setup.MaxConcurrency == 1
	w.gone.poke()
	if len(w.flights) == 0 && len(w.abandoned) > 0 && w.process != nil {
		w.replaceLocked()
		ids := make([]string, 0, len(w.abandoned))
		for _, f := range w.abandoned {
			ids = append(ids, f.id())
		}
		go w.end(w.process, whyReplaced(ids, w.s.CancelGrace))
	}
}

// replaceLocked is for a process that is about to be killed by us: from now on it gets no
// prediction any more.
func (w *worker) replaceLocked() {
	w.replaced = true
	w.why = "the model process went on with a canceled prediction and is being replaced"
	w.turnLocked(phaseEnding)
}
