package supervisor

import (
	"bytes"
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/coggo/coggo/internal/pool"
	"github.com/coggo/coggo/internal/spool"
)

// Health is the answer to a health check.
type Health struct {
	Summary
	Runners    []RunnerHealth // of each runner, if there are several
	Queue      *QueueHealth   // of the queue that servers share; nil without one
	RetryAfter time.Duration  // when a server that is not ready may be; 0: not by itself
}

// QueueHealth is the health of a queue that many servers share.
type QueueHealth struct {
	Connected bool
	Why       string // the reason if it is not Connected
	Model     string // OWNER/MODEL[:VERSION]; empty while no worker has served one
	Workers   int    // that take predictions
	Slots     int    // of all of them
	Waiting   int    // predictions that no worker has
	Running   int    // predictions that a worker has
}

// QueueState is the state of one model's queue, for an autoscaler of its workers.
type QueueState struct {
	QueueHealth
	// How long the first of those that no worker has had yet has waited. It is 0 if there is not
	// one, and -1 if this server may not see it.
	Oldest time.Duration
	Stuck  int // those that the broker did not give out, when this process looked last
}

// RunnerHealth is the health of one of several runners.
type RunnerHealth struct {
	Status       pool.Status
	PID          int // 0 while there is no process
	Devices      string
	Max, Current int // its slots, and how many are taken
}

// Summary is the health of all runners together.
type Summary struct {
	Status      pool.Status
	Setup       Setup
	Max         int // slots
	Current     int // slots that are taken
	Draining    bool
	Unhealthy   string
	Python, Cog string // versions in the runner; "" before setup has ended
}

// Setup is the result of loading and setup(): of the first runner that is not ready, or else of the
// first.
type Setup struct {
	StartedAt   time.Time
	CompletedAt time.Time // zero while it runs
	Status      string    // starting, succeeded or failed
	Logs        string    // the model's output, and the traceback of a failure
}

// checkLimit is how long the model's healthcheck may take. The runner keeps the limit of 5 s and
// answers in its own words. The rest covers a runner that can't answer.
const checkLimit = 5*time.Second + 500*time.Millisecond

// Health derives the status from the workers. It also tests whether the directory can be written,
// and asks the model's healthcheck if there is one.
func (s *Supervisor) Health(ctx context.Context) Health {
	unhealthy := s.unhealthy(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.healthLocked() // derived last, because a runner may have died meanwhile
	h.Unhealthy = unhealthy
	if unhealthy != "" && h.Status.Accepting() {
		h.Status = pool.Unhealthy
	}
	return h
}

// unhealthy returns why predictions would fail although there are runners for them, "" if no reason
// is known.
func (s *Supervisor) unhealthy(ctx context.Context) string {
	for _, w := range s.workers {
		if err := w.room(); err != nil {
			return unwritableError(err).Error()
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

// hasHealthcheck reports whether the model is ready and has a healthcheck. turned is closed when
// the model is no longer ready.
func (w *worker) hasHealthcheck() (turned <-chan struct{}, asks bool) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	return w.phaseChanged, w.s.pool.Phase(w.index) == pool.PhaseReady && w.setup.Healthcheck
}

// SetupResult returns the first runner's result of loading and setup(), or a result made from its
// end. It is empty before setup has ended.
func (s *Supervisor) SetupResult() spool.SetupResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.workers[0].setup
}

// Status returns the status without the model's healthcheck.
func (s *Supervisor) Status() pool.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pool.Status()
}

// probeEvery is how long the result of a probe of the disk counts: it writes a file, and health
// checks may come by the thousand.
const probeEvery = 10 * time.Millisecond

// probed is the result of one probe of the disk.
type probed struct {
	at  time.Time
	err error
}

// room returns why the directory of w can't be written, nil if it can.
func (w *worker) room() error {
	now := w.s.config.Now()
	last := w.probe.Load()
	if last == nil || now.Sub(last.at) >= probeEvery {
		last = &probed{now, w.dir.Probe(healthRoom)}
		w.probe.Store(last)
	}
	return last.err
}

func (s *Supervisor) healthLocked() Health {
	h := Health{Summary: Summary{Status: s.pool.Status(), Draining: s.pool.Draining()}}
	h.RetryAfter = s.pool.RetryAfter(s.config.Now())
	h.Max, h.Current = s.pool.Slots()
	shown := s.shownLocked()
	h.Python, h.Cog = shown.setup.Python, shown.setup.Cog
	h.Setup = Setup{
		StartedAt: shown.setup.StartedAt, CompletedAt: shown.setup.CompletedAt,
		Status: shown.setup.Status,
	}
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

// shownLocked returns the worker whose setup health shows: the first that is not ready, or else the
// first.
func (s *Supervisor) shownLocked() *worker {
	for _, w := range s.workers {
		if s.pool.Phase(w.index) != pool.PhaseReady {
			return w
		}
	}
	return s.workers[0]
}

func (w *worker) healthLocked() RunnerHealth {
	h := RunnerHealth{Status: w.s.pool.WorkerStatus(w.index), Devices: w.devices()}
	h.Max, h.Current = w.s.pool.WorkerSlots(w.index)
	if w.process != nil {
		h.PID = w.process.PID()
	}
	return h
}

// checker runs the model's healthcheck at most once at a time. Everyone who asks meanwhile shares
// the answer.
type checker struct {
	changed notifier

	mu       sync.Mutex // guards the rest
	sequence int
	running  *checkRun
}

type checkRun struct {
	done chan struct{}
	text string // why the model is unhealthy; valid once done is closed
}

func newChecker() *checker { return &checker{changed: newNotifier()} }

// healthcheck returns why the model says that it is unhealthy, "" if it is healthy or gone.
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

// ask sends one healthcheck to the runner, and waits for the answer.
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
		case <-w.check.changed:
		case <-tick.C:
		case <-late:
			if err != nil {
				return "Healthcheck failed: " + unreadableError(err).Error()
			}
			return "Healthcheck failed: user-defined healthcheck timed out after 5.0 seconds"
		case <-turned:
			return ""
		case <-w.s.stopping.Done():
			return ""
		}
	}
}
