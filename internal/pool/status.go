package pool

import (
	"time"

	"github.com/coggo/coggo/internal/prediction"
)

// Status is the combined state of workers, with its name in GET /health-check.
type Status string

// The states.
const (
	Starting    Status = "STARTING"
	Ready       Status = "READY"
	Busy        Status = "BUSY"
	SetupFailed Status = "SETUP_FAILED"
	Defunct     Status = "DEFUNCT"
	Unhealthy   Status = "UNHEALTHY" // set by the owner: a Pool does not know it
)

// Accepting reports whether members are admitted in this state, to run or to wait.
func (s Status) Accepting() bool { return s == Ready || s == Busy }

// Status returns the combined state of all workers.
func (p *Pool[M]) Status() Status { return statusOf(p.workers) }

// WorkerStatus returns the state of one worker.
func (p *Pool[M]) WorkerStatus(worker int) Status { return statusOf(p.workers[worker : worker+1]) }

func statusOf[M Member](workers []worker[M]) Status {
	free := 0
	for i := range workers {
		free += workers[i].free()
	}
	switch count := phasesOf(workers); {
	case free > 0:
		return Ready
	case count[PhaseReady] > 0:
		return Busy
	case count[PhaseStarting]+count[PhaseEnding] > 0:
		return Starting
	case count[PhaseSetupFailed] > 0:
		return SetupFailed
	default:
		return Defunct
	}
}

func (p *Pool[M]) phases() [PhaseDefunct + 1]int { return phasesOf(p.workers) }

func phasesOf[M Member](workers []worker[M]) (count [PhaseDefunct + 1]int) {
	for i := range workers {
		count[workers[i].phase]++
	}
	return count
}

// Slots returns how many members the ready workers can run at once, and how many run.
func (p *Pool[M]) Slots() (all, taken int) {
	for i := range p.workers {
		n, t := p.WorkerSlots(i)
		all, taken = all+n, taken+t
	}
	return all, taken
}

// WorkerSlots is Slots for one worker. A worker that is not ready has no slots.
func (p *Pool[M]) WorkerSlots(worker int) (all, taken int) {
	w := &p.workers[worker]
	if w.phase != PhaseReady {
		return 0, 0
	}
	return w.slots, w.taken()
}

// RetrySoon is the delay of a refusal that a finishing prediction would end: nobody knows when that
// is, and another server may accept the request meanwhile.
const RetrySoon = time.Second

// mostRetry bounds the delay during a setup, which may finish long before.
const mostRetry = 30 * time.Second

// RetryAfter returns when a client should try again, 0 if waiting does not help.
func (p *Pool[M]) RetryAfter(now time.Time) time.Duration {
	switch status := p.Status(); {
	case p.draining: // another server may accept it, now or after this one
		return RetrySoon
	case status == SetupFailed || status == Defunct:
		return 0
	case status == Starting:
		return p.setupLeft(now)
	}
	return RetrySoon
}

// setupLeft estimates how much longer setup takes: as long again as it has taken so far. That means
// few retries during a long setup, and few seconds lost after a short one.
func (p *Pool[M]) setupLeft(now time.Time) time.Duration {
	after := mostRetry
	for i := range p.workers {
		switch w := &p.workers[i]; {
		case w.phase == PhaseStarting && !w.since.IsZero():
			after = min(after, now.Sub(w.since))
		case w.phase == PhaseStarting || w.phase == PhaseEnding: // setup is about to start
			after = RetrySoon
		}
	}
	return max(after, RetrySoon)
}

// ShuttingDown is the reason that clients read once the shutdown has started.
const ShuttingDown = "the server is shutting down"

func errDraining() error {
	return prediction.RefuseFor(RetrySoon, prediction.Draining, ShuttingDown)
}

// Refuses returns the *prediction.Error with code Draining or NotReady for new members, nil if they
// are admitted, to run or to wait.
func (p *Pool[M]) Refuses(now time.Time) error {
	if p.draining {
		return errDraining()
	}
	if !p.Status().Accepting() {
		return p.Refusal(now)
	}
	return nil
}

// Refusal returns the *prediction.Error with code NotReady while no worker is ready.
func (p *Pool[M]) Refusal(now time.Time) error {
	return prediction.RefuseFor(p.RetryAfter(now), prediction.NotReady, p.whyNot())
}

// whyNot returns the reason for clients: that of the last worker that has one.
func (p *Pool[M]) whyNot() string {
	why := ""
	for i := range p.workers {
		if p.workers[i].why != "" {
			why = p.workers[i].why
		}
	}
	if p.Status() == SetupFailed {
		return "setup failed: " + why
	}
	return why
}
