package supervisor

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/coggo/coggo/internal/files"
	"github.com/coggo/coggo/internal/pool"
	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/schema"
	"github.com/coggo/coggo/internal/spool"
	"github.com/coggo/coggo/internal/telemetry"
	"github.com/coggo/coggo/internal/webhook"
)

// Reason says why a prediction was canceled, in the words of the protocol.
type Reason string

// The reasons.
const (
	ByClient     Reason = "client"
	ByDisconnect Reason = "disconnect"
	ByDeadline   Reason = "deadline"
	ByShutdown   Reason = "shutdown"
	ByReload     Reason = "reload"
)

// Error makes a Reason the cause of a context.
func (r Reason) Error() string { return "canceled: " + string(r) }

// stage says who works on a flight.
type stage int

const (
	stageServer    stage = iota // the server: it waits, fetches, or has finished without a runner
	stageHanded                 // the runner has the request
	stageAbandoned              // it finished, but the runner still runs it
)

// flight is one prediction on its way through the server. Its fields belong to the goroutine of the
// prediction (Supervisor.run), except where noted.
type flight struct {
	prediction *prediction.Prediction
	run        string // of the runs of the same id, this one; empty when no later server will ask
	checked    schema.Checked
	against    *schema.Input // the schema of checked; nil before the check
	accepted   time.Time
	fileID     string     // in the names of its files
	dir        *spool.Dir // where its files are, from the moment it has a slot
	replaces   string     // the earlier run of this id, whose result is journaled; empty if there is none
	keepResult bool       // a client may ask for the result after a restart: it did not wait, or may ask once more

	ctx         context.Context // done when the prediction must end, with a Reason as its cause
	cancelBy    context.CancelCauseFunc
	durable     chan struct{} // closed once a later server would know about the prediction, or need not
	turn        chan *worker  // receives the worker that it gets a slot of; nil: it has to fetch its files first
	watch       func()        // starts to watch whether the client leaves; nil if no client waits, or once called
	news        notifier      // there is something to read
	eventsOnly  atomic.Bool   // only events are new: a stream of tokens need not look for its response at each
	onDurable   sync.Once     // closes durable
	journaled   bool          // it is in the journal of the queue
	noSideFiles bool          // it left only its request and response in the spool
	expectQuick bool          // set at the handover: the one before was quick, so its end is expected at once
	wasQuick    bool          // it took less than BusyPoll from the handover to the end
	inputs      string        // the directory with its input files; empty while there is none
	fetches     bool          // some of its files are not in the request: it has no slot while it fetches them
	recheck     bool          // its input is checked once it has a slot: there was no schema before, or that of another model
	deadline    time.Duration
	record      atomic.Pointer[spool.Record] // of its output, for a later server; nil for a quick one
	owed        webhook.Body                 // the terminal snapshot as it is on disk, nil when it is not
	hook        *webhook.Queue               // nil without a webhook; set before the handover
	span        *telemetry.Span              // of the whole prediction; nil without traces
	predict     *telemetry.Span              // of the run itself

	// guarded by Supervisor.mu
	slot  pool.Slot
	stage stage
}

func (s *Supervisor) newFlight(r prediction.Request, against *schema.Input, checked schema.Checked) *flight {
	f := &flight{
		prediction: prediction.New(r, s.config.Limits),
		accepted:   s.config.Now(),
		fileID:     spool.FileID(r.ID),
		durable:    make(chan struct{}),
		turn:       make(chan *worker, 1),
		news:       newNotifier(),
	}
	if r.Lease != nil && !r.Lease.Queued.IsZero() {
		f.accepted = r.Lease.Queued
	}
	f.setChecked(against, checked)
	if s.config.Durable {
		f.run = prediction.NewID()
	}
	f.ctx, f.cancelBy = context.WithCancelCause(context.Background())
	return f
}

func (f *flight) setChecked(against *schema.Input, c schema.Checked) {
	f.against, f.checked = against, c
	f.fetches = slices.ContainsFunc(c.Files, func(in schema.FileInput) bool { return !files.Source(in).Inline() })
}

// target is the receiver of f's webhooks, with a span for each attempt.
func (f *flight) target() webhook.Target {
	t := target(f.prediction.Request)
	if span := f.span; span != nil {
		t.Trace = func(e prediction.WebhookEvent, attempt int) (http.Header, func(error)) {
			child := span.Child("webhook", trace.SpanKindClient, attribute.String("coggo.webhook.event", string(e)), attribute.Int("coggo.webhook.attempt", attempt))
			return child.Header(nil), func(err error) { child.End(errText(err)) }
		}
	}
	return t
}

// errText is the message of err, empty for nil.
func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func target(r prediction.Request) webhook.Target {
	t := webhook.Target{ID: r.ID, URL: r.Webhook, Events: r.WebhookEvents, Header: r.TraceHeader()}
	return t
}

// shown is the part of f that clients may see; f may be nil.
func (f *flight) shown() *prediction.Prediction {
	if f == nil {
		return nil
	}
	return f.prediction
}

// owes reports whether this server has to tell a receiver of the end.
func (f *flight) owes() bool {
	r := f.prediction.Request
	return f.hook != nil && r.Lease == nil && r.WantsWebhook(prediction.WebhookCompleted)
}

// The methods of a pool.Member.

// ID is the id of the prediction.
func (f *flight) ID() string { return f.prediction.Request.ID }

// Method is predict or train.
func (f *flight) Method() prediction.Method { return f.prediction.Request.Method }

// Size is what the prediction takes in memory, in bytes.
func (f *flight) Size() int { return f.prediction.Size() }

// Fetches reports whether some of its files have to be downloaded.
func (f *flight) Fetches() bool { return f.fetches }

// Patient reports whether its client does not retry.
func (f *flight) Patient() bool { return f.prediction.Request.Patient }

// Recovered reports whether its input is checked again.
func (f *flight) Recovered() bool { return f.recheck }

// Accepted is when the server accepted it; for a restored one, when it finished.
func (f *flight) Accepted() time.Time { return f.accepted }

// partial is the body of a webhook on the way.
func (f *flight) partial() webhook.Body { return f.prediction.Partial() }

// cancel may be called often; the first reason counts.
func (f *flight) cancel(r Reason) { f.cancelBy(r) }

// startDisconnectWatch must be called before the prediction waits for anything.
func (f *flight) startDisconnectWatch() {
	if f.watch != nil {
		f.watch()
		f.watch = nil
	}
}

// deserted reports whether the prediction was canceled because its client disconnected. Such a
// result must not be reused if the client retries the same PUT.
func (f *flight) deserted() bool {
	return reasonOf(f.ctx) == ByDisconnect && f.prediction.Final().Status == prediction.Canceled
}

// reasonOf is the reason why the prediction of ctx must end, empty when it need not.
func reasonOf(ctx context.Context) Reason { return asReason(context.Cause(ctx)) }

func asReason(err error) Reason {
	var r Reason
	errors.As(err, &r)
	return r
}

// markDurable says that a later server would know about the prediction, or that it need not.
func (f *flight) markDurable() { f.onDurable.Do(func() { close(f.durable) }) }

// notifier wakes the one goroutine that reads from it; pending notifications coalesce.
type notifier chan struct{}

func newNotifier() notifier { return make(notifier, 1) }

func (n notifier) notify() {
	select {
	case n <- struct{}{}:
	default:
	}
}

// notify wakes the flight's goroutine. eventsOnly says that there was no response when the
// directory was listed.
func (f *flight) notify(eventsOnly bool) {
	f.eventsOnly.Store(eventsOnly)
	f.news.notify()
}

// log adds text that the model wrote.
func (f *flight) log(source string, text []byte) {
	f.prediction.Log(source, text)
	if f.hook != nil {
		f.hook.Changed(prediction.WebhookLogs)
	}
}

// origin says that f wrote to a stream; w is nil for a run of an earlier server.
func (f *flight) origin(w *worker, stream string) Origin {
	o := Origin{ID: f.ID(), Stream: stream}
	if w != nil {
		o.Runner = w.index
	}
	return o
}

// written takes the model's output from its standard streams while the prediction had them alone.
func (f *flight) written(stream string, text []byte) {
	if r := f.record.Load(); r != nil { // before anybody is shown it
		r.Add(text)
	}
	f.log(stream, text)
}

// tellUnknown says which members of the input the model does not know.
func (f *flight) tellUnknown() {
	if len(f.checked.Unknown) > 0 {
		f.log("stderr", []byte("ignored unknown input: "+strings.Join(f.checked.Unknown, ", ")+"\n"))
	}
}

// entries converts a file table for a Publisher.
func entries(table []spool.File) []files.Entry {
	out := make([]files.Entry, len(table))
	for i, t := range table {
		out[i] = files.Entry{Pointer: t.Pointer, Path: t.Path, Temporary: t.Temporary, Name: t.Name}
	}
	return out
}
