package queue

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/schema"
	"github.com/coggo/coggo/internal/supervisor"
	"github.com/coggo/coggo/internal/webhook"
)

// Supervisor is what a Worker needs of this machine: it runs predictions, in as many slots as it
// has.
type Supervisor interface {
	Create(r prediction.Request, idempotent bool) (p *prediction.Prediction, created bool, err error)
	Cancel(p *prediction.Prediction, reason supervisor.Reason) error
	List(only prediction.Method, cursor string, limit int) (page []*prediction.Prediction, next string, err error)
	Stored(p *prediction.Prediction)
	Schema() (*schema.Document, error)
	Health(ctx context.Context) supervisor.Health
	Slots() int
}

// WorkerConfig configures a Worker.
type WorkerConfig struct {
	Queue       *Queue
	Supervisor  Supervisor
	MaxAttempts int    // runs of a prediction whose workers are lost; at least 1
	Rerun       bool   // run again what a lost worker had, instead of failing it
	Version     string // of the server

	MaxInputFiles int // of one prediction; 0: no limit
}

// Worker takes predictions off a queue, as many as it has free slots, and runs them.
type Worker struct {
	WorkerConfig
	q    *Queue
	host string // for people

	short    atomic.Bool     // the last run was over before heldBack
	ready    chan struct{}   // receives when the model is set up
	pulling  context.Context // done when no more predictions are taken
	stopPull context.CancelFunc
	work     sync.WaitGroup // one for each job

	mu        sync.Mutex      // guards the rest
	jobs      map[string]*job // by run
	ended     recentRuns
	unclaimed []*job          // whose claims are held back, in the order of their begin
	slots     int             // goroutines that pull, one for each slot there ever was
	taken     int             // of the slots, by a prediction or by a pull
	changed   chan struct{}   // closed when taken falls
	grace     context.Context // once it is done, what fails is handed back; nil before Drain

	asking   context.Context // of pulls; done when the broker has forgotten them
	stopAsks context.CancelFunc
}

// NewWorker returns a worker that takes nothing before Start.
func NewWorker(c WorkerConfig) *Worker {
	w := &Worker{
		WorkerConfig: c, q: c.Queue, ready: make(chan struct{}, 1),
		jobs: map[string]*job{}, changed: make(chan struct{}),
	}
	w.host, _ = os.Hostname() // without it nobody can see which worker ran what
	w.pulling, w.stopPull = context.WithCancel(c.Queue.ctx)
	w.asking, w.stopAsks = context.WithCancel(w.pulling)
	return w
}

// Ready tells the worker that the model is set up.
func (w *Worker) Ready() {
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// Start begins to take predictions once there is a model and a broker.
func (w *Worker) Start() { w.q.work.Go(w.run) }

func (w *Worker) run() {
	select {
	case <-w.q.open:
	case <-w.q.ctx.Done():
		return
	}
	for subject, hear := range map[string]nats.MsgHandler{
		controlPrefix + token(w.q.config.Name) + ".*":     w.hearControl,
		ownerSubject(token(w.q.config.Name), w.q.process): w.hearQuestion,
	} {
		sub, err := w.q.broker.nc.Subscribe(subject, hear)
		if err != nil {
			w.q.config.Log.Error("subscribe to cancels and questions", "error", err)
			return
		}
		defer func() { _ = sub.Unsubscribe() }() // the connection may be closed
	}
	w.storeLeftovers()
	beat, presence := time.NewTicker(heartbeat(w.q.silence)), time.NewTicker(presenceEvery)
	defer beat.Stop()
	defer presence.Stop()
	for last := time.Now(); ; {
		select {
		case <-w.ready:
			w.offer()
		case <-beat.C:
			w.beat()
			if now := time.Now(); now.Sub(last) < w.q.silence {
				last = now
				continue
			}
			last = time.Now()
			w.q.work.Go(w.checkClaims) // this process did not run for so long that others have taken over
		case <-w.q.back:
			w.beat()
			w.askAgain()
			w.q.work.Go(w.checkClaims)
		case <-presence.C:
			w.announce(false)
		case <-w.q.ctx.Done():
			return
		}
	}
}

// offer publishes what the model is, and pulls for each slot that it has.
func (w *Worker) offer() {
	document, err := w.Supervisor.Schema()
	if err != nil {
		return // it has ended again, and is being set up once more
	}
	ctx, cancel := context.WithTimeout(w.q.ctx, patience)
	defer cancel()
	h := w.Supervisor.Health(ctx)
	since := w.q.config.Now()
	if known := w.q.directory.model(w.q.config.Name); known != nil && !known.Since.IsZero() {
		since = known.Since
	}
	err = w.q.broker.announceModel(ctx, modelEntry{
		Name: w.q.config.Name, OpenAPI: document.JSON(), Python: h.Python, Cog: h.Cog, Files: w.MaxInputFiles,
		Since: since,
	})
	if err != nil {
		w.q.config.Log.Error("publish the schema of the model: trying again", "error", err)
		time.AfterFunc(attempt, w.Ready)
		return
	}
	w.announce(false)
	slots := w.Supervisor.Slots()
	w.mu.Lock()
	defer w.mu.Unlock()
	for ; w.slots < slots; w.slots++ {
		w.q.work.Go(w.pull)
	}
}

// announce publishes that this worker is there, or that it has gone.
func (w *Worker) announce(gone bool) {
	ctx, cancel := context.WithTimeout(context.Background(), attempt)
	defer cancel()
	w.mu.Lock()
	running := len(w.jobs)
	w.mu.Unlock()
	err := w.q.broker.announceWorker(ctx, workerEntry{
		Name: w.q.config.Name, Worker: w.q.process, Host: w.host, Version: w.Version, Slots: w.Supervisor.Slots(),
		Running: running, Draining: w.pulling.Err() != nil, At: w.q.config.Now(),
	}, gone)
	if err != nil && !gone {
		w.q.config.Log.Warn("tell the queue that this worker is there", "error", err)
	}
}

// beat tells the broker that the worker still has its messages.
func (w *Worker) beat() {
	w.mu.Lock()
	jobs := slices.Collect(maps.Values(w.jobs))
	w.mu.Unlock()
	for _, j := range jobs {
		_ = w.q.broker.nc.Publish(j.msg.Reply, []byte("+WPI")) // one or two may be lost
	}
}

// hearControl cancels a run of this worker, or sends its events.
func (w *Worker) hearControl(m *nats.Msg) {
	w.mu.Lock()
	j := w.jobs[m.Header.Get(headerRun)]
	w.mu.Unlock()
	if j == nil {
		return
	}
	if after, err := strconv.Atoi(m.Header.Get(headerFollow)); err == nil {
		w.follow(j, after)
		return
	}
	if m.Header.Get(headerCancel) != "" { // else a later version says something else
		j.hearCancel(w.Supervisor, m)
	}
}

// pull takes one prediction after the other into one slot.
func (w *Worker) pull() {
	p := puller{w: w}
	defer p.close()
	for w.take() {
		msg := p.next()
		if msg == nil {
			w.free()
			continue
		}
		w.handle(msg)
	}
}

// slotsAgain is how often a worker without a free slot looks whether its runner is back.
const slotsAgain = 100 * time.Millisecond

// take waits for a free slot. It reports false when no more predictions are to be taken.
func (w *Worker) take() bool {
	for w.pulling.Err() == nil {
		slots := w.Supervisor.Slots()
		w.mu.Lock()
		if w.taken < slots {
			w.taken++
			w.mu.Unlock()
			return true
		}
		changed := w.changed
		w.mu.Unlock()
		again := time.NewTimer(slotsAgain)
		select {
		case <-changed:
		case <-again.C:
		case <-w.pulling.Done():
		}
		again.Stop()
	}
	return false
}

// free gives a slot back.
func (w *Worker) free() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.taken--
	close(w.changed)
	w.changed = make(chan struct{})
}

// Health returns the health of this worker's model, and of the queue.
func (w *Worker) Health(ctx context.Context) supervisor.Health {
	h := w.Supervisor.Health(ctx)
	h.Draining = h.Draining || w.q.draining.Load()
	found := w.q.Report(ctx, w.q.config.Name)
	h.Queue = &found
	return h
}

// API is what the HTTP API needs: the queue, with the health of this worker for its model.
type API struct {
	*Queue
	Worker *Worker
}

// Health is that of the worker, or of another model of the queue.
func (a API) Health(ctx context.Context, name string) supervisor.Health {
	if name != a.config.Name {
		return a.Queue.Health(ctx, name)
	}
	return a.Worker.Health(ctx)
}

// Flushed tells the worker that every webhook of a run before the terminal one has gone out.
func (w *Worker) Flushed(t webhook.Target) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, j := range w.jobs {
		if j.entry.ID == t.ID {
			j.flush()
		}
	}
}

// Drain stops taking predictions, and lets those that run go on until grace is done. A prediction
// that is cut short afterwards goes back to the queue. The supervisor is to be drained at the same
// time.
func (w *Worker) Drain(grace context.Context) {
	w.mu.Lock()
	w.grace = grace
	w.mu.Unlock()
	w.stopPull()
	w.q.Drain()
	w.announce(false)
}

// Finish waits until what has ended is stored in the broker, or until ctx is done.
func (w *Worker) Finish(ctx context.Context) {
	if !waitFor(ctx, &w.work) {
		w.mu.Lock()
		left := len(w.jobs)
		w.mu.Unlock()
		w.q.config.Log.Error("the queue does not take the ends of predictions: other workers will run them again",
			"count", left)
	}
	w.announce(true)
}

// errHandedBack is why a run has no end: it is handed back to the queue.
var errHandedBack = errors.New("the run is handed back")
