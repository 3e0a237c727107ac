// Package supervisor answers: may I, and then what? It admits predictions, takes each from top to
// bottom (lifecycle.go), keeps the runners alive (worker.go), and knows what is live and what is
// retained.
package supervisor

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coggo/coggo/internal/admission"
	"github.com/coggo/coggo/internal/files"
	"github.com/coggo/coggo/internal/pool"
	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/runner"
	"github.com/coggo/coggo/internal/schema"
	"github.com/coggo/coggo/internal/sigmute"
	"github.com/coggo/coggo/internal/spool"
	"github.com/coggo/coggo/internal/telemetry"
	"github.com/coggo/coggo/internal/webhook"
)

// Config configures a Supervisor.
type Config struct {
	Runner     runner.Config // SpoolDir is filled in for each runner
	Runners    int           // number of runner processes, at least 1
	Devices    []string      // CUDA_VISIBLE_DEVICES of each runner, nil to leave it as it is
	WorkingDir string
	Renew      func() error           // makes WorkingDir again if a model has removed it; an error if it must not be used any more
	Inputs     func() (string, error) // the directory for input files, made again if a model has removed it
	Durable    bool                   // a later server may start on WorkingDir: keep a journal
	Rerun      bool                   // after a crash of the server, run again what it had in flight instead of failing it

	SetupTimeout   time.Duration // 0: none
	CancelGrace    time.Duration // from a cancel to the replacement of the runner
	PredictTimeout time.Duration // 0: none
	MaxRestarts    int           // of one runner within RestartWindow
	HearAll        bool          // do not mute redundant signals, see package sigmute
	Reloads        bool          // Reload may be called: a model that can't be used waits for it
	ReloadGrace    time.Duration // how long predictions may go on with a model that is to be reloaded
	MaxQueue       int           // predictions that may wait for a slot
	PatientQueue   int           // the same for those of Patient requests, where it is more
	MaxFetching    int           // predictions that may fetch files beyond those for which a slot is free
	Retain         int           // finished predictions that are kept
	RetainFor      time.Duration // how long they are kept
	RetainBytes    int           // how much they may hold together
	Limits         prediction.Limits
	MaxInputFiles  int           // of one prediction; 0: no limit
	MaxOutput      int64         // bytes of one prediction's output, without its files, see itemBytes; 0: no limit
	CheckedAtOnce  int64         // bytes of large inputs that are checked at once; 0: no limit
	CheckWait      time.Duration // for room to check a large input

	Fetcher   *files.Fetcher
	Publisher *files.Publisher
	Webhooks  *webhook.Sender
	Observer  Observer
	Tracer    *telemetry.Tracer    // nil: no traces
	OnReady   func()               // called when a model is set up
	Output    func(Origin, []byte) // gets what models print, from any goroutine
	Log       *slog.Logger
	Now       func() time.Time
}

// Origin says where some output comes from.
type Origin struct {
	Runner int
	ID     string // of the prediction; empty if it belongs to none
	Stream string // stdout or stderr; stdout if it is unknown
	Whole  bool   // the text is a traceback, from its first line to its last
}

// Observer counts for operators.
type Observer interface {
	PredictionFinished(status string)
	PredictionRan(predictSeconds, queueSeconds float64)
	SetupSeconds(seconds float64)
	RunnerRestart()
}

// RestartWindow is the time over which MaxRestarts counts.
const RestartWindow = 10 * time.Minute

// Supervisor runs predictions. Create, Perform, Cancel, Get, List, Health, Schema, Reload and Drain
// are its whole surface, beside Signals for what the runners send.
type Supervisor struct {
	config    Config
	root      *spool.Dir
	checks    admission.Checker
	queued    *spool.Journal
	results   *spool.Journal
	outbox    *spool.Journal
	key       []byte     // of prediction.Request.Seal
	leftovers []leftover // between New and Start: what an earlier server had in flight

	signals  chan os.Signal
	rescan   *time.Timer        // runs while ticking
	end      context.CancelFunc // starts the shutdown: nothing is accepted and no runner is started any more
	ending   context.Context    // set with mu held, so that a holder of mu knows whether the shutdown has started
	stop     context.CancelFunc // ends the watch and the workers
	stopping context.Context
	idle     sync.WaitGroup // one for each prediction under way
	workersn sync.WaitGroup
	owing    atomic.Int64 // bytes in memory that terminal webhooks wait with
	failures *telemetry.Tally

	mu      sync.Mutex // guards everything below, and the fields of workers and flights that say so
	pool    *pool.Pool[*flight]
	workers []*worker
	edition edition
	schema  *schema.Document
	ready   *sigmute.Signal // SIGUSR1
	busy    *sigmute.Signal // SIGUSR2
	ticking bool            // something is in flight: notifyAll makes up for lost signals
	defunct chan struct{}   // closed when no process will run again because they died too often or do not exit
	giveUp  sync.Once       // closes it
}

// runnerPrefix starts the names of the runners' directories if there are several.
const runnerPrefix = "runner-"

// New registers the leftovers of an earlier server in the working directory. It starts no process:
// see Start.
func New(c Config) (*Supervisor, error) {
	root, err := spool.Open(c.WorkingDir)
	if err != nil {
		return nil, err
	}
	s := &Supervisor{
		config: c, root: root, checks: admission.NewChecker(c.CheckedAtOnce), signals: make(chan os.Signal, 16),
		ready: sigmute.New(syscall.SIGUSR1), busy: sigmute.New(syscall.SIGUSR2),
		rescan: time.NewTimer(rescan), ticking: true, defunct: make(chan struct{}),
		pool: pool.New[*flight](c.Runners, pool.Limits{
			Queue: c.MaxQueue, PatientQueue: c.PatientQueue, PatientBytes: patientBytes,
			Fetching: c.MaxFetching,
			Retain:   c.Retain, RetainFor: c.RetainFor, RetainBytes: c.RetainBytes,
		}),
	}
	s.failures = s.newFailures()
	s.ending, s.end = context.WithCancel(context.Background())
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.edition = newEdition(c.Runner.Entry, c.Reloads)
	for name, journal := range map[string]**spool.Journal{spool.Queued: &s.queued, spool.Results: &s.results, spool.Outbox: &s.outbox} {
		if *journal, err = root.Journal(name); err != nil {
			return nil, err
		}
	}
	if c.Durable {
		if err := s.openKey(); err != nil {
			return nil, err
		}
	}
	for i := range c.Runners {
		dir := root
		if c.Runners > 1 {
			if dir, err = spool.Open(filepath.Join(c.WorkingDir, runnerPrefix+strconv.Itoa(i))); err != nil {
				return nil, err
			}
		}
		dir.MaxOutput = c.MaxOutput
		s.workers = append(s.workers, newWorker(s, i, dir))
	}
	if err := s.loadLeftovers(); err != nil {
		return nil, fmt.Errorf("recover %s: %w", s.root.Path(), err)
	}
	return s, nil
}

// Start resolves the leftovers of an earlier server and starts the runners. The caller must call
// signal.Notify for Signals first.
func (s *Supervisor) Start() error {
	if err := s.resolveLeftovers(); err != nil {
		return fmt.Errorf("recover %s: %w", s.root.Path(), err)
	}
	s.workersn.Go(s.watch)
	for _, w := range s.workers {
		s.workersn.Go(w.keep)
	}
	return nil
}

// Create accepts a prediction and starts it; created is false if an idempotent request met the same
// id, running or finished with the same input. A Detached request is on disk when Create returns.
// It returns a *prediction.Error with code Draining, NotReady, NotFound, Invalid, Conflict, Busy or
// QueueFull; it leaves nothing behind then.
func (s *Supervisor) Create(r prediction.Request, idempotent bool) (p *prediction.Prediction, created bool, err error) {
	f, created, err := s.admit(r, idempotent)
	if err != nil || !created {
		return f.shown(), false, err
	}
	go s.run(f)
	if r.Detached {
		<-f.durable
	}
	return f.prediction, true, nil
}

// Perform is Create for a caller that waits for the end: a created prediction has finished when it
// returns, by itself or because its client left and no other client waits for it (ByDisconnect). It
// runs in the caller's goroutine. That saves each answer two switches between goroutines, which are
// most of the server's share of a short prediction. For the same reason Perform calls watch, whose
// context is done when the client leaves, only if the prediction may take a while, and at most
// once.
func (s *Supervisor) Perform(watch func() context.Context, r prediction.Request, idempotent bool) (p *prediction.Prediction, created bool, err error) {
	f, created, err := s.admit(r, idempotent)
	if err != nil || !created {
		return f.shown(), false, err
	}
	leave := f.prediction.Attach()
	stop := func() bool { return true }
	f.watch = func() {
		stop = context.AfterFunc(watch(), func() {
			if leave() {
				f.cancel(ByDisconnect)
			}
		})
	}
	defer func() { stop() }()
	defer crash()
	s.run(f)
	return f.prediction, true, nil
}

// crash lets a panic end the process, as it would in any other goroutine: net/http recovers, and
// then the slot would stay taken for ever.
func crash() {
	if v := recover(); v != nil {
		go panic(v)
		select {}
	}
}

// Cancel cancels p. It succeeds if p is already canceled. It returns a *prediction.Error with code
// NotFound if p has finished otherwise, even if another prediction with its id is running by now.
func (s *Supervisor) Cancel(p *prediction.Prediction, r Reason) error {
	s.mu.Lock()
	f, _ := s.pool.Get(p.Request.ID)
	s.mu.Unlock()
	switch status := p.Status(); {
	case f.shown() == p && status == prediction.Canceled:
		return nil
	case f.shown() != p || status.Terminal():
		return prediction.Refuse(prediction.NotFound, "no running prediction has this id")
	}
	f.cancel(r)
	runtime.Gosched() // the prediction's goroutine first: it signals the runner, and the caller only reports that
	return nil
}

// Get returns a live or retained prediction, or a *prediction.Error with code NotFound.
func (s *Supervisor) Get(id string) (*prediction.Prediction, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expireLocked()
	if f, ok := s.pool.Get(id); ok {
		return f.prediction, nil
	}
	return nil, prediction.Refuse(prediction.NotFound, "no prediction has this id; finished ones are kept for a while, see --retain")
}

// List returns up to limit predictions, live and retained, newest first, and a cursor for those
// that follow, empty at the end. It lists one method only, or all if that is empty. It returns a
// *prediction.Error with code NotFound for a string that is not a cursor.
func (s *Supervisor) List(only prediction.Method, after string, limit int) (page []*prediction.Prediction, next string, err error) {
	cursor, ok := pool.ParseCursor(after)
	if !ok {
		return nil, "", prediction.Refuse(prediction.NotFound, "no page has this cursor: it must be the `next` of an earlier page")
	}
	s.mu.Lock()
	s.expireLocked()
	var all []*flight
	for f := range s.pool.All() {
		if only == "" || f.Method() == only {
			all = append(all, f)
		}
	}
	s.mu.Unlock()
	listed, next := pool.Page(all, cursor, limit)
	for _, f := range listed {
		page = append(page, f.prediction)
	}
	return page, next, nil
}

// Schema returns the model's OpenAPI document, or a *prediction.Error with code NotReady.
func (s *Supervisor) Schema() (*schema.Document, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.schema == nil {
		return nil, prediction.RefuseFor(s.pool.RetryAfter(s.config.Now()), prediction.NotReady, "the model is not loaded, so there is no schema yet; see /health-check")
	}
	return s.schema, nil
}

// Signals is the channel for the runners' signals (signal.Notify). A goroutine reads it directly,
// because each goroutine in between would delay every answer.
func (s *Supervisor) Signals() chan<- os.Signal { return s.signals }

// Waiting is the number of predictions that wait for a slot.
func (s *Supervisor) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pool.Waiting()
}

// Fetching is the number of predictions whose files are being fetched without a slot.
func (s *Supervisor) Fetching() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pool.Fetching()
}

// Slots is how many predictions can run at once now.
func (s *Supervisor) Slots() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, _ := s.pool.Slots()
	return all
}

// InFlight is the number of predictions that have not finished, waiting ones included.
func (s *Supervisor) InFlight() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pool.InFlight()
}

// Defunct is closed when every runner died too often to be restarted, or does not exit.
func (s *Supervisor) Defunct() <-chan struct{} { return s.defunct }

// failHopelessLocked ends the predictions that wait once no worker will ever be ready again.
func (s *Supervisor) failHopelessLocked(err error) {
	waiting, defunct := s.pool.Hopeless()
	for _, f := range waiting {
		f.cancelBy(err)
	}
	if defunct && !s.config.Reloads {
		s.giveUp.Do(func() { close(s.defunct) })
	}
}

// watch lists the directories after a signal, and from time to time. Only SIGHUP triggers a scan:
// SIGUSR1 and SIGUSR2 carry no information that the files don't; see updateSignalMaskLocked.
func (s *Supervisor) watch() {
	for {
		select {
		case got := <-s.signals:
			for _, w := range s.workers {
				w.setupNews.notify()
				if got == syscall.SIGHUP {
					w.scan()
				}
			}
		case <-s.rescan.C:
			s.notifyAll()
		case <-s.stopping.Done():
			return
		}
	}
}

// updateSignalMaskLocked mutes SIGUSR1 and SIGUSR2 except while a runner is starting. Once it is
// set up they are redundant, and waking twice per prediction is a large share of a short one's
// latency.
func (s *Supervisor) updateSignalMaskLocked() {
	mute := !s.config.HearAll
	for _, w := range s.workers {
		mute = mute && s.pool.Phase(w.index) != pool.PhaseStarting
	}
	s.ready.Mute(mute)
	s.busy.Mute(mute)
}

// notifyAll makes up for lost signals. One timer serves all predictions, and it does not run when
// there are none.
func (s *Supervisor) notifyAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ticking = false
	for _, w := range s.workers {
		for f := range s.pool.Running(w.index) {
			f.notify(false)
			s.tickLocked()
		}
	}
}

// tickLocked starts the timer unless it runs.
func (s *Supervisor) tickLocked() {
	if !s.ticking {
		s.ticking = true
		s.rescan.Reset(rescan)
	}
}
