package supervisor

import (
	"bytes"
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/coggo/coggo/internal/spool"
)

// Status is the state of the server, as GET /health-check names it.
type Status string

// The states.
const (
	Starting    Status = "STARTING"
	Ready       Status = "READY"
	Busy        Status = "BUSY"
	SetupFailed Status = "SETUP_FAILED"
	Defunct     Status = "DEFUNCT"
	Unhealthy   Status = "UNHEALTHY"
)

// Health is what the server says of itself.
type Health struct {
	Summary
	Runners    []RunnerHealth // of each, when there are several
	RetryAfter time.Duration  // when a server that is not well may be; 0: not by itself
}

// RunnerHealth is how one of several runners is.
type RunnerHealth struct {
	Status       Status
	PID          int // 0 while there is no process
	Devices      string
	Max, Current int // its slots, and those that are taken
}

// Summary is the health of all runners together.
type Summary struct {
	Status      Status
	Setup       Setup
	Max         int // slots
	Current     int // slots that are taken
	Draining    bool
	Unhealthy   string
	Python, Cog string // versions in the runner, empty until setup has ended
}

// Setup is how loading and setup() went; of the first runner that is not well, else of the first.
type Setup struct {
	StartedAt   time.Time
	CompletedAt time.Time // zero while it runs
	Status      string    // starting, succeeded or failed
	Logs        string    // what the model wrote, with the traceback of a failure
}

// checkLimit is how long the model's healthcheck may take. The runner keeps the same limit and
// answers in words of its own; the rest covers a runner that can't answer.
const checkLimit = 5*time.Second + 500*time.Millisecond

// Health derives the state from the workers, tries whether the directory can be written and, when
// the model has a healthcheck, asks it.
func (s *Supervisor) Health(ctx context.Context) Health {
	unhealthy := s.unhealthy(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.healthLocked() // now, because a runner may have died while it was asked
	h.Unhealthy = unhealthy
	if unhealthy != "" && (h.Status == Ready || h.Status == Busy) {
		h.Status = Unhealthy
	}
	return h
}

// unhealthy is why predictions would fail although there are runners for them, empty when nothing
// is known.
func (s *Supervisor) unhealthy(ctx context.Context) string {
	for _, w := range s.workers {
		if err := w.room(); err != nil {
			return unwritable(err).Error()
		}
	}
	texts := make([]string, len(s.workers))
	var all sync.WaitGroup
	for i, w := range s.workers {
		if turned, asks := w.hasHealthcheck(); asks {
			all.Go(func() { texts[i] = w.healthcheck(ctx, turned) })
		}
	}
	all.Wait()
	return cmp.Or(texts...)
}

// hasHealthcheck reports whether a model is ready to be asked; turned is closed when it no longer
// is.
func (w *worker) hasHealthcheck() (turned <-chan struct{}, asks bool) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	return w.turned, w.phase == phaseReady && w.setup.Healthcheck
}

// SetupResult is what the first runner says of loading and setup(), or what its end says. It is
// empty before setup has ended.
func (s *Supervisor) SetupResult() spool.SetupResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.workers[0].setup
}

// Status is the state without the model's own opinion.
func (s *Supervisor) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.statusLocked()
}

func (s *Supervisor) statusLocked() Status {
	return statusOf(s.workers...)
}

// statusOf is the state of workers together, whose lock is held.
func statusOf(workers ...*worker) Status {
	count := map[phase]int{}
	free := 0
	for _, w := range workers {
		count[w.phase]++
		free += w.freeLocked()
	}
	switch {
	case free > 0:
		return Ready
	case count[phaseReady] > 0:
		return Busy
	case count[phaseStarting]+count[phaseEnding] > 0:
		return Starting
	case count[phaseSetupFailed] > 0:
		return SetupFailed
	default:
		return Defunct
	}
}

// probeEvery is how long the result of a look for room counts: it writes a file, and probes may
// come by the thousand.
const probeEvery = 10 * time.Millisecond

// probed is the result of one look for room.
type probed struct {
	at  time.Time
	err error
}

// room returns why nothing can be written in the directory of w.
func (w *worker) room() error {
	now := w.s.Now()
	last := w.probe.Load()
	if last == nil || now.Sub(last.at) >= probeEvery {
		last = &probed{now, w.dir.Probe(healthRoom)}
		w.probe.Store(last)
	}
	return last.err
}

func (s *Supervisor) healthLocked() Health {
	h := Health{Summary: Summary{Status: s.statusLocked(), Draining: s.ending.Err() != nil}}
	h.RetryAfter = s.retryLocked(h.Status)
	shown := s.workers[0]
	for _, w := range s.workers {
		if w.phase == phaseReady {
			h.Max += w.setup.MaxConcurrency
			h.Current += w.takenLocked()
		} else if shown.phase == phaseReady {
			shown = w
		}
	}
	h.Python, h.Cog = shown.setup.Python, shown.setup.Cog
	h.Setup = Setup{StartedAt: shown.setup.StartedAt, CompletedAt: shown.setup.CompletedAt, Status: shown.setup.Status}
	if h.Setup.Status == "" {
		h.Setup.Status = "starting"
	}
	h.Setup.Logs = string(bytes.ToValidUTF8(shown.setupLogs, []byte("\uFFFD")))
	if len(s.workers) > 1 {
		for _, w := range s.workers {
			h.Runners = append(h.Runners, w.healthLocked())
		}
	}
	return h
}

func (w *worker) healthLocked() RunnerHealth {
	h := RunnerHealth{Status: statusOf(w), Devices: w.devices()}
	if w.process != nil {
		h.PID = w.process.PID()
	}
	if w.phase == phaseReady {
		h.Max, h.Current = w.setup.MaxConcurrency, w.takenLocked()
	}
	return h
}

// whyNotLocked says to a client why no prediction is taken.
func (s *Supervisor) whyNotLocked(status Status) string {
	why := ""
	for _, w := range s.workers {
		if w.why != "" {
			why = w.why
		}
	}
	if status == SetupFailed {
		return "setup failed: " + why
	}
	return why
}

// checker runs the model's healthcheck at most once at a time; everyone who asks meanwhile shares
// the answer.
type checker struct {
	look bell

	mu       sync.Mutex // guards the rest
	sequence int
	running  *checkRun
}

type checkRun struct {
	done chan struct{}
	text string // why the model is unhealthy; valid once done is closed
}

func newChecker() *checker { return &checker{look: newBell()} }

// healthcheck returns why the model says it is unhealthy, empty when it is well or no longer there.
func (w *worker) healthcheck(ctx context.Context, turned <-chan struct{}) string {
	c := w.check
	c.mu.Lock()
	run := c.running
	if run == nil {
		c.sequence++
		run = &checkRun{done: make(chan struct{})}
		c.running = run
		go w.ask(run, c.sequence, turned)
	}
	c.mu.Unlock()
	select {
	case <-run.done:
		return run.text
	case <-ctx.Done():
		return ""
	}
}

// ask sends one healthcheck to the runner and waits for the answer.
func (w *worker) ask(run *checkRun, sequence int, turned <-chan struct{}) {
	run.text = w.answer(sequence, turned)
	w.check.mu.Lock()
	w.check.running = nil
	w.check.mu.Unlock()
	close(run.done)
}

func (w *worker) answer(sequence int, turned <-chan struct{}) string {
	if err := w.dir.PutHealth(sequence); err != nil {
		return "Healthcheck failed: " + err.Error()
	}
	tick := time.NewTicker(rescan)
	defer tick.Stop()
	late := time.After(checkLimit)
	for {
		r, ok, err := w.dir.Health()
		if err == nil && ok && r.Sequence == sequence {
			if r.Healthy {
				return ""
			}
			return r.Error
		}
		select {
		case <-w.check.look:
		case <-tick.C:
		case <-late:
			if err != nil {
				return "Healthcheck failed: " + illegible(err).Error()
			}
			return "Healthcheck failed: user-defined healthcheck timed out after 5.0 seconds"
		case <-turned:
			return ""
		case <-w.s.stopping.Done():
			return ""
		}
	}
}
