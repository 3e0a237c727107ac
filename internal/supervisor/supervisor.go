// Package supervisor runs predictions. It admits them, takes each from top to bottom
// (lifecycle.go), keeps the runners alive (worker.go), and knows which predictions are live and
// which are retained.
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
	Devices    []string      // CUDA_VISIBLE_DEVICES of each runner; nil: leave it as it is
	WorkingDir string
	// Makes WorkingDir again if a model has removed it. An error means that this server must not
	// use it any more.
	Renew func() error
	// Returns the directory for input files. It makes it again if a model has removed it.
	Inputs  func() (string, error)
	Durable bool // a later server may use WorkingDir: keep a journal
	// After a crash of the server, run its predictions again instead of failing them.
	Rerun bool

	SetupTimeout   time.Duration // 0: no limit
	CancelGrace    time.Duration // from a cancel to the replacement of the runner
	PredictTimeout time.Duration // 0: no limit
	MaxRestarts    int           // of one runner within RestartWindow
	HearAll        bool          // do not mute redundant signals, see package sigmute
	Reloads        bool          // Reload may be called; a model that can't be used waits for it
	// How long predictions may go on when the model is reloaded.
	ReloadGrace  time.Duration
	MaxQueue     int // predictions that may wait for a slot
	PatientQueue int // the same for Patient requests, if it is more
	// Predictions that may fetch files in addition to those that have a free slot.
	MaxFetching   int
	Retain        int           // finished predictions to keep
	RetainFor     time.Duration // how long to keep them
	RetainBytes   int           // their memory together
	Limits        prediction.Limits
	MaxInputFiles int // of one prediction; 0: no limit
	// Bytes of one prediction's output, without its files, see itemBytes; 0: no limit.
	MaxOutput     int64
	CheckedAtOnce int64         // bytes of large inputs to check at once; 0: no limit
	CheckWait     time.Duration // how long to wait for room to check a large input

	Fetcher   *files.Fetcher
	Publisher *files.Publisher
	Webhooks  *webhook.Sender
	Observer  Observer
	Tracer    *telemetry.Tracer    // nil: no traces
	OnReady   func()               // called when a model is set up
	Output    func(Origin, []byte) // gets the output of models, from any goroutine
	Log       *slog.Logger
	Now       func() time.Time
}

// Origin is the origin of some output.
type Origin struct {
	Runner int
	ID     string // of the prediction; "" if there is none
	Stream string // stdout or stderr; stdout if unknown
	Whole  bool   // the text is a complete traceback
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

// Supervisor runs predictions. Its interface is Create, Perform, Cancel, Get, List, Health, Schema,
// Reload, Drain, and Signals for the signals of the runners.
type Supervisor struct {
	config    Config
	root      *spool.Dir
	checks    admission.Checker
	queued    *spool.Journal
	results   *spool.Journal
	outbox    *spool.Journal
	key       []byte     // of prediction.Request.Seal
	leftovers []leftover // between New and Start: the unfinished predictions of an earlier server

	signals chan os.Signal
	rescan  *time.Timer // runs while ticking
	// Starts the shutdown: the server accepts nothing and starts no runner any more.
	end context.CancelFunc
	// Set with mu held, so that a holder of mu knows whether the shutdown has started.
	ending   context.Context
	stop     context.CancelFunc // stops the watch and the workers
	stopping context.Context
	idle     sync.WaitGroup // one for each prediction under way
	workersn sync.WaitGroup
	owing    atomic.Int64 // bytes in memory that terminal webhooks wait with
	turns    turns        // to write ends
	left     atomic.Int64 // predictions that the next server runs
	failures *telemetry.Tally

	mu      sync.Mutex // guards everything below, and the fields of workers and flights that say so
	pool    *pool.Pool[*flight]
	workers []*worker
	edition edition
	schema  *schema.Document
	ready   *sigmute.Signal // SIGUSR1
	busy    *sigmute.Signal // SIGUSR2
	ticking bool            // something is in flight: rescanAll makes up for lost signals
	// Closed when no process will run again because they died too often or do not exit.
	defunct chan struct{}
	giveUp  sync.Once // closes it
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
		config: c, root: root, checks: admission.NewChecker(c.CheckedAtOnce),
		signals: make(chan os.Signal, 16),
		ready:   sigmute.New(syscall.SIGUSR1), busy: sigmute.New(syscall.SIGUSR2),
		rescan: time.NewTimer(rescan), ticking: true, defunct: make(chan struct{}),
		turns: newTurns(),
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
	journals := map[string]**spool.Journal{
		spool.Queued: &s.queued, spool.Results: &s.results, spool.Outbox: &s.outbox,
	}
	for name, journal := range journals {
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
			dir, err = spool.Open(filepath.Join(c.WorkingDir, runnerPrefix+strconv.Itoa(i)))
			if err != nil {
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
// The error is a *prediction.Error with code Draining, NotReady, NotFound, Invalid, Conflict, Busy
// or QueueFull; Create leaves nothing behind then.
func (s *Supervisor) Create(
	r prediction.Request, idempotent bool,
) (p *prediction.Prediction, created bool, err error) {
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

// Perform is Create for a caller that waits for the end. When it returns, a created prediction has
// finished, by itself or because its client left and no other client waits for it (ByDisconnect).
// It runs in the caller's goroutine: that saves two switches between goroutines, which are most of
// the server's share of a short prediction. For the same reason it calls watch at most once, and
// only if the prediction may take a while. The context of watch is done when the client leaves.
func (s *Supervisor) Perform(
	watch func() context.Context, r prediction.Request, idempotent bool,
) (p *prediction.Prediction, created bool, err error) {
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

// crash lets a panic end the process, as it would in any other goroutine. net/http would recover,
// and the slot would stay taken for ever.
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
	// The prediction's goroutine goes first: it signals the runner, and the caller only reports it.
	runtime.Gosched()
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
	return nil, prediction.Refuse(prediction.NotFound,
		"no prediction has this id; finished ones are kept for a while, see --retain")
}

// Stream is Get: a retained prediction has its events.
func (s *Supervisor) Stream(id string) (*prediction.Prediction, error) { return s.Get(id) }

// List returns up to limit predictions, live and retained, newest first, and a cursor for the next
// ones, "" at the end. It lists one method only, or all if only is empty. It returns a
// *prediction.Error with code NotFound for a string that is not a cursor.
func (s *Supervisor) List(
	only prediction.Method, after string, limit int,
) (page []*prediction.Prediction, next string, err error) {
	cursor, ok := pool.ParseCursor(after)
	if !ok {
		return nil, "", prediction.Refuse(prediction.NotFound,
			"no page has this cursor: it must be the `next` of an earlier page")
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
		return nil, prediction.RefuseFor(
			s.pool.RetryAfter(s.config.Now()), prediction.NotReady,
			"the model is not loaded, so there is no schema yet; see /health-check")
	}
	return s.schema, nil
}

// Signals returns the channel for the runners' signals (signal.Notify). One goroutine reads it
// directly, because each goroutine in between would delay every answer.
func (s *Supervisor) Signals() chan<- os.Signal { return s.signals }

// Waiting returns the number of predictions that wait for a slot.
func (s *Supervisor) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pool.Waiting()
}

// Fetching returns the number of predictions whose files are being fetched without a slot.
func (s *Supervisor) Fetching() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pool.Fetching()
}

// Slots returns how many predictions can run at once now.
func (s *Supervisor) Slots() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, _ := s.pool.Slots()
	return all
}

// InFlight returns the number of predictions that have not finished, with waiting ones.
func (s *Supervisor) InFlight() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pool.InFlight()
}

// Defunct returns a channel that is closed when every runner died too often to be restarted, or
// does not exit.
func (s *Supervisor) Defunct() <-chan struct{} { return s.defunct }

// failHopelessLocked fails the waiting predictions once no worker will ever be ready again.
func (s *Supervisor) failHopelessLocked(err error) {
	waiting, defunct := s.pool.Hopeless()
	for _, f := range waiting {
		f.cancelBy(err)
	}
	if defunct && !s.config.Reloads {
		s.giveUp.Do(func() { close(s.defunct) })
	}
}

// watch looks for new files after a signal, and from time to time. Only SIGHUP triggers a scan:
// SIGUSR1 and SIGUSR2 carry no information that the files don't; see updateSignalMaskLocked.
func (s *Supervisor) watch() {
	for {
		select {
		case got := <-s.signals:
			for _, w := range s.workers {
				w.setupChanged.notify()
				if got == syscall.SIGHUP {
					w.scan()
				}
			}
		case <-s.rescan.C:
			s.rescanAll()
		case <-s.stopping.Done():
			for _, w := range s.workers {
				w.changes.Close()
			}
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

// rescanAll makes up for lost signals. One timer serves all predictions. It does not run when there
// are none.
func (s *Supervisor) rescanAll() {
	s.mu.Lock()
	s.ticking = false
	s.mu.Unlock()
	running := false
	for _, w := range s.workers {
		running = w.rescan() || running
	}
	if running {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.tickLocked()
	}
}

// tickLocked starts the timer unless it runs.
func (s *Supervisor) tickLocked() {
	if !s.ticking {
		s.ticking = true
		s.rescan.Reset(rescan)
	}
}
