package pool

import (
	"iter"
	"maps"
	"slices"
	"time"
)

// Phase is the stage of a worker's life.
type Phase int

// The phases.
const (
	PhaseStarting Phase = iota // setup runs, or is about to
	PhaseReady
	PhaseEnding // the process has exited or will soon; its last output may still come
	PhaseSetupFailed
	PhaseDefunct
)

func (p Phase) String() string {
	return [...]string{"starting", "ready", "ending", "setup failed", "defunct"}[p]
}

// worker is one runner process after another.
type worker[M Member] struct {
	phase     Phase
	slots     int            // of the process, if it is ready
	since     time.Time      // when setup started, while it is starting; zero before
	why       string         // why it is not ready, for clients
	running   map[M]struct{} // they have a slot
	abandoned map[M]struct{} // finished, but still run by the process: each takes a slot
}

// free returns the number of free slots. It is negative if a new process has fewer slots than
// members that still wait for it.
func (w *worker[M]) free() int {
	if w.phase != PhaseReady {
		return 0
	}
	return w.slots - w.taken()
}

func (w *worker[M]) taken() int { return len(w.running) + len(w.abandoned) }

// freest returns the ready worker with the most free slots, -1 if no slot is free.
func (p *Pool[M]) freest() int {
	best, most := -1, 0
	for i := range p.workers {
		if free := p.workers[i].free(); free > most {
			best, most = i, free
		}
	}
	return best
}

// Phase returns the phase of a worker.
func (p *Pool[M]) Phase(worker int) Phase { return p.workers[worker].phase }

// SetPhase sets a phase other than PhaseReady. setup is the time at which setup started, zero if it
// did not.
func (p *Pool[M]) SetPhase(worker int, phase Phase, setup time.Time) {
	p.workers[worker].phase, p.workers[worker].since = phase, setup
}

// SetReady opens a worker with this many slots. Waiting members get them at once.
func (p *Pool[M]) SetReady(worker, slots int) []Grant[M] {
	w := &p.workers[worker]
	w.phase, w.slots, w.why = PhaseReady, slots, ""
	return p.Dispatch()
}

// Explain sets the reason why a worker is not ready. It stays until SetReady.
func (p *Pool[M]) Explain(worker int, why string) { p.workers[worker].why = why }

// Reason returns the last reason that Explain set for a worker, "" once it is ready.
func (p *Pool[M]) Reason(worker int) string { return p.workers[worker].why }

// Running yields the members that have a slot of a worker, in any order.
func (p *Pool[M]) Running(worker int) iter.Seq[M] { return maps.Keys(p.workers[worker].running) }

// RunningCount returns the number of members that have a slot of a worker.
func (p *Pool[M]) RunningCount(worker int) int { return len(p.workers[worker].running) }

// AbandonedCount returns the number of finished members that a worker's process is still running.
func (p *Pool[M]) AbandonedCount(worker int) int { return len(p.workers[worker].abandoned) }

// Abandon marks a member that finishes although the process of its worker is still running it: it
// takes a slot until Release. Abandon reports whether the process runs nothing else. Then it marks
// nothing, the worker gets PhaseEnding, and the caller replaces the process.
func (p *Pool[M]) Abandon(m M, s Slot) (alone bool) {
	w := &p.workers[s.Worker]
	if len(w.running) == 1 {
		w.phase = PhaseEnding
		return true
	}
	w.abandoned[m] = struct{}{}
	return false
}

// leave frees the slot of m. If only abandoned members are left in a ready process, it returns
// their ids, sorted, and the process gets no more members.
func (w *worker[M]) leave(m M) (abandoned []string) {
	delete(w.running, m)
	if len(w.running) > 0 || len(w.abandoned) == 0 || w.phase != PhaseReady {
		return nil
	}
	w.phase = PhaseEnding
	for m := range w.abandoned {
		abandoned = append(abandoned, m.ID())
	}
	slices.Sort(abandoned)
	return abandoned
}

// abandonedID reports whether a process is still running a finished member with this id. Its files
// would be taken for those of a new one.
func (p *Pool[M]) abandonedID(id string) bool {
	for i := range p.workers {
		for m := range p.workers[i].abandoned {
			if m.ID() == id {
				return true
			}
		}
	}
	return false
}

// Release frees the slot and the id of an abandoned member that the process has ended after all.
func (p *Pool[M]) Release(m M, worker int) []Grant[M] {
	delete(p.workers[worker].abandoned, m)
	return p.Dispatch()
}

// Reap returns the abandoned members of a worker whose process has exited, and forgets them.
func (p *Pool[M]) Reap(worker int) []M {
	w := &p.workers[worker]
	dead := slices.Collect(maps.Keys(w.abandoned))
	clear(w.abandoned)
	return dead
}
