// Package queue answers: what if there are many servers? It keeps predictions in a NATS JetStream
// broker, so that any process takes them on and any worker runs them.
//
// One subject holds the state of each prediction, and every change of it is a compare-and-set on
// its sequence. The sequence of a worker's claim is its fencing token: a worker that has lost its
// claim can't store an end any more. So a prediction has exactly one end, even if it ran twice.
//
// Queue is the side of clients (submit.go, lookup.go, cancel.go): it is what the HTTP API needs of
// the rest of the server. Worker is the side of a model (worker.go, claim.go, end.go).
package queue

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coggo/coggo/internal/admission"
	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/telemetry"
	"github.com/coggo/coggo/internal/webhook"
)

// Config configures a Queue.
type Config struct {
	URL      string // of the broker; several with commas
	Creds    string // file with a JWT and its key, or with the seed of an NKey; empty for none
	CA       string // file with the certificates that the broker's is checked against; empty: the system's
	Replicas int    // of what this process has to make in the broker

	Worker        bool          // this process runs the model of the name, so it may have rights for that alone
	Name          string        // of the model that is served here, OWNER/MODEL[:VERSION]; may be empty
	MaxQueue      int           // predictions of each model that may wait
	RetainFor     time.Duration // how long ends are kept
	History       int           // events that a late reader of a stream is shown
	CheckedAtOnce int64         // bytes of large inputs that are checked at once; 0: no limit
	CheckWait     time.Duration // for room to check a large input

	Webhooks *webhook.Sender     // of terminal webhooks
	Stored   func(time.Duration) // called with how long the broker took to store a message
	Log      *slog.Logger
	Now      func() time.Time
}

// Queue takes predictions on, and knows of all that the broker has. Its methods may be called from
// any goroutine.
type Queue struct {
	config    Config
	broker    *broker
	checks    admission.Checker
	directory *directory
	process   string // names this process to others

	ctx    context.Context // ends everything that goes on in the background
	cancel context.CancelFunc
	work   sync.WaitGroup
	fetch  context.Context // done when no more webhooks are taken
	enough context.CancelFunc

	open     chan struct{} // closed once the broker has everything that the queue needs
	silence  time.Duration // AckWait of the model's consumer, which operators may change; set before open closes
	back     chan struct{} // receives when there is a broker again
	failed   chan error    // receives why it never will
	draining atomic.Bool
	mirrors  mirrors
	ends     sharedEnds
	depths   depths
	heads    heads
	stuck    stuck
	counters Counters
	troubles *telemetry.Tally
}

// Counters count what operators want to know of a queue.
type Counters struct {
	Redelivered atomic.Int64 // messages that came again, because their worker was silent
	TakenOver   atomic.Int64 // runs that started again, because their worker was lost
	Fenced      atomic.Int64 // ends that were refused, because another worker had taken over
	Returned    atomic.Int64 // runs that were handed back
}

// Open returns a Queue that connects in the background. It returns an error for settings that can't
// be used; Failed tells of a broker that can't.
func Open(c Config) (*Queue, error) {
	q := &Queue{
		config: c, checks: admission.NewChecker(c.CheckedAtOnce), directory: newDirectory(c.Now),
		process: prediction.NewID(), open: make(chan struct{}), failed: make(chan error, 1),
		back: make(chan struct{}, 1),
	}
	q.troubles = telemetry.NewTally(func(count int, over time.Duration) {
		c.Log.Warn("more troubles with the queue's broker", "count", count, "period", over)
	})
	q.mirrors.all, q.mirrors.latest = map[string]*mirror{}, map[string]*mirror{}
	q.depths.q = q
	q.ctx, q.cancel = context.WithCancel(context.Background())
	q.fetch, q.enough = context.WithCancel(q.ctx)
	var err error
	if q.broker, err = dial(c, "coggo-server "+c.Name, c.Log, q.reconnected); err != nil {
		return nil, err
	}
	q.work.Go(q.begin)
	return q, nil
}

// begin makes what is missing in the broker once there is one.
func (q *Queue) begin() {
	again := time.NewTicker(250 * time.Millisecond)
	defer again.Stop()
	for said := ""; ; {
		if q.broker.connected() {
			err := q.prepare()
			if err == nil {
				break
			}
			if q.broker.hopeless(err) {
				q.failed <- err
				return
			}
			if q.ctx.Err() == nil && err.Error() != said {
				said = err.Error()
				q.config.Log.Warn("the queue's broker is not ready: trying again", "error", err)
			}
		}
		select {
		case <-again.C:
		case <-q.ctx.Done():
			return
		}
	}
	close(q.open)
	q.config.Log.Info("connected to the queue",
		"broker", q.broker.nc.ConnectedUrlRedacted(), "model", q.config.Name, "process", q.process)
	if !q.broker.narrow {
		q.work.Go(q.deliverWebhooks)
	}
	q.work.Go(q.keepClean)
	q.work.Go(q.watchBroker)
}

// watchBroker notes whether the broker does what it is asked for while it is connected.
func (q *Queue) watchBroker() {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-q.ctx.Done():
			return
		}
		if !q.broker.connected() {
			continue
		}
		err := q.broker.answers(q.ctx)
		switch {
		case err == nil && q.broker.silent.Swap(nil) != nil:
			q.config.Log.Info("the queue's broker answers again")
			q.reconnected()
		case err != nil && q.ctx.Err() == nil && q.broker.connected() && q.broker.silent.Swap(&err) == nil:
			q.config.Log.Warn("the queue's broker is connected and "+q.broker.why(err), "error", err)
		}
	}
}

func (q *Queue) prepare() error {
	ctx, cancel := context.WithTimeout(q.ctx, 4*patience)
	defer cancel()
	if err := q.broker.usable(ctx); err != nil {
		return err
	}
	if err := q.broker.assets(ctx); err != nil {
		return err
	}
	if q.config.Worker {
		if err := q.broker.findRights(ctx, token(q.config.Name)); err != nil {
			return err
		}
	}
	if q.config.Name != "" {
		name := token(q.config.Name)
		c, err := q.broker.consumer(ctx, askedStream, name, askedPrefix+name+".>")
		if err != nil {
			return err
		}
		q.silence = c.CachedInfo().Config.AckWait
	}
	return q.directory.follow(q.ctx, q.broker)
}

// reconnected makes up for what was missed while there was no broker.
func (q *Queue) reconnected() {
	q.work.Go(func() { q.sweep(false) })
	select {
	case q.back <- struct{}{}:
	default:
	}
}

// Failed receives why the broker can't carry a queue: it is too old, has no JetStream, or does not
// permit what is needed.
func (q *Queue) Failed() <-chan error { return q.failed }

// Counters returns the counters.
func (q *Queue) Counters() *Counters { return &q.counters }

// Connected reports whether there is a broker that has everything that the queue needs, and
// answers.
func (q *Queue) Connected() bool {
	return q.opened() && q.broker.connected() && q.broker.silent.Load() == nil
}

// opened reports whether there ever was one.
func (q *Queue) opened() bool {
	select {
	case <-q.open:
		return true
	default:
		return false
	}
}

// Drain refuses new predictions from now on.
func (q *Queue) Drain() { q.draining.Store(true) }

// Close delivers the webhooks that this process has taken until ctx is done, and closes the
// connection. Webhooks that are owed stay in the broker, for other processes.
func (q *Queue) Close(ctx context.Context) {
	q.enough()
	q.config.Webhooks.Drain(ctx)
	q.cancel()
	q.work.Wait()
	q.mirrors.close()
	q.troubles.Close()
	q.broker.nc.Close()
}

// usable returns a *prediction.Error while nothing can be asked of the queue.
func (q *Queue) usable() error {
	if q.Connected() {
		return nil
	}
	if why := q.broker.silent.Load(); why != nil && q.opened() && q.broker.connected() {
		return q.unreachable(*why)
	}
	return q.unreachable(nil)
}

// trouble logs what the broker has not done, as often as troubles allows.
func (q *Queue) trouble(err error) {
	if q.ctx.Err() == nil && q.troubles.Tell() {
		q.config.Log.Warn("the queue's broker does not do what it is asked for", "error", err)
	}
}

// unreachable is the refusal of a request because of an error of the broker. It gives the reason if
// that is known.
func (q *Queue) unreachable(err error) error {
	if err != nil {
		q.trouble(err)
	}
	var lost missing
	switch {
	case full(err):
		return errNoRoom()
	case errors.As(err, &lost):
		return errMissing(lost.asset)
	case errors.As(err, new(unreadable)):
		return errUnreadable()
	case q.broker.forbidden(err):
		return errNotPermitted()
	}
	return errUnreachable()
}

// refused reports whether err is a *prediction.Error, which clients are told as it is.
func refused(err error) bool { return errors.As(err, new(*prediction.Error)) }
