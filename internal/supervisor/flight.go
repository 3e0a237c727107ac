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

// Reason is the reason of a cancel, in the words of the protocol.
type Reason string

// The reasons.
const (
	ByClient     Reason = "client"
	ByDisconnect Reason = "disconnect"
	ByDeadline   Reason = "deadline"
	ByShutdown   Reason = "shutdown"
	ByReload     Reason = "reload"
)

// Error makes a Reason usable as the cause of a context.
func (r Reason) Error() string { return "canceled: " + string(r) }

// stage says who is working on a flight.
type stage int

const (
	stageServer    stage = iota // the server: it waits, fetches, or has finished without a runner
	stageHanded                 // the runner has the request
	stageAbandoned              // it has finished, but the runner is still running it
)

// flight is one prediction on its way through the server. Its fields belong to the goroutine of the
// prediction (Supervisor.run), except where noted.
type flight struct {
	prediction *prediction.Prediction
	run        string // tells this run of the id from others; "" if no later server will ask
	checked    schema.Checked
	against    *schema.Input // the schema that checked is valid for; nil before the check
	accepted   time.Time
	fileID     string     // in the names of its files
	dir        *spool.Dir // where its files are, once it has a slot
	// The earlier run of this id whose result is journaled; "" if there is none.
	replaces string
	// A client may ask for the result after a restart, because it did not wait or may ask again.
	keepResult bool

	ctx      context.Context // done when the prediction must end; its cause is a Reason
	cancelBy context.CancelCauseFunc
	// Closed once a later server would know about the prediction, or need not.
	durable chan struct{}
	// Receives the worker that gave it a slot; nil: it has to fetch its files first.
	turn chan *worker
	// Starts to watch for a disconnect; nil if no client waits, or after the call.
	watch   func()
	changed notifier // there is something to read
	// There may be a response. At each token of a stream the goroutine need not look for it.
	response    atomic.Bool
	onDurable   sync.Once // closes durable
	journaled   bool      // it is in the journal of the queue
	noSideFiles bool      // it left only its request and response in the spool
	// Set at the handover: the last prediction was quick, so the end is expected at once.
	expectQuick bool
	wasQuick    bool   // it took less than BusyPoll from the handover to the end
	inputs      string // the directory with its input files; "" if there is none
	// Some of its files must be downloaded. It has no slot meanwhile.
	fetches bool
	// Its input is checked once it has a slot, because there was no schema before, or that of
	// another model.
	recheck  bool
	deadline time.Duration
	// The record of its output, for a later server; nil for a quick one.
	record  atomic.Pointer[spool.Record]
	owed    webhook.Body    // the terminal snapshot on disk; nil if it is not there
	hook    *webhook.Queue  // nil without a webhook; set before the handover
	span    *telemetry.Span // of the whole prediction; nil without traces
	predict *telemetry.Span // of the run itself

	// Guarded by Supervisor.mu:
	slot  pool.Slot
	stage stage
}

func (s *Supervisor) newFlight(
	r prediction.Request, against *schema.Input, checked schema.Checked,
) *flight {
	f := &flight{
		prediction: prediction.New(r, s.config.Limits),
		accepted:   s.config.Now(),
		fileID:     spool.FileID(r.ID),
		durable:    make(chan struct{}),
		turn:       make(chan *worker, 1),
		changed:    newNotifier(),
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
	f.fetches = slices.ContainsFunc(c.Files, func(in schema.FileInput) bool {
		return !files.Source(in).Inline()
	})
}

// target returns the receiver of f's webhooks, with a span for each attempt.
func (f *flight) target() webhook.Target {
	t := target(f.prediction.Request)
	if span := f.span; span != nil {
		t.Trace = func(e prediction.WebhookEvent, attempt int) (http.Header, func(error)) {
			child := span.Child("webhook", trace.SpanKindClient,
				attribute.String("coggo.webhook.event", string(e)),
				attribute.Int("coggo.webhook.attempt", attempt))
			return child.Header(nil), func(err error) { child.End(errText(err)) }
		}
	}
	return t
}

// errText returns the message of err, "" for nil.
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

// shown returns the part of f that clients may see; f may be nil.
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

// ID returns the id of the prediction.
func (f *flight) ID() string { return f.prediction.Request.ID }

// Method returns predict or train.
func (f *flight) Method() prediction.Method { return f.prediction.Request.Method }

// Size returns the memory of the prediction, in bytes.
func (f *flight) Size() int { return f.prediction.Size() }

// Fetches reports whether some files have to be downloaded.
func (f *flight) Fetches() bool { return f.fetches }

// Patient reports whether the client does not retry.
func (f *flight) Patient() bool { return f.prediction.Request.Patient }

// Recovered reports whether the input must be checked again.
func (f *flight) Recovered() bool { return f.recheck }

// Accepted returns when the server accepted the prediction; for a restored one, when it finished.
func (f *flight) Accepted() time.Time { return f.accepted }

// partial returns the body of a webhook before the terminal one.
func (f *flight) partial() webhook.Body { return f.prediction.Partial() }

// cancel may be called often. The first reason counts.
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

// reasonOf returns the reason why the prediction of ctx must end, "" if it need not.
func reasonOf(ctx context.Context) Reason { return asReason(context.Cause(ctx)) }

func asReason(err error) Reason {
	var r Reason
	errors.As(err, &r)
	return r
}

// markDurable says that a later server would know about the prediction, or need not.
func (f *flight) markDurable() { f.onDurable.Do(func() { close(f.durable) }) }

// notifier wakes the one goroutine that reads from it. Pending notifications coalesce.
type notifier chan struct{}

func newNotifier() notifier { return make(notifier, 1) }

func (n notifier) notify() {
	select {
	case n <- struct{}{}:
	default:
	}
}

// notify wakes the flight's goroutine. response says that there may be a response, and not only
// events.
func (f *flight) notify(response bool) {
	if response {
		f.response.Store(true)
	}
	f.changed.notify()
}

// log appends text that the model wrote.
func (f *flight) log(source string, text []byte) {
	f.prediction.Log(source, text)
	if f.hook != nil {
		f.hook.Changed(prediction.WebhookLogs)
	}
}

// origin returns an Origin for a stream of f; w is nil for a run of an earlier server.
func (f *flight) origin(w *worker, stream string) Origin {
	o := Origin{ID: f.ID(), Stream: stream}
	if w != nil {
		o.Runner = w.index
	}
	return o
}

// written takes the output that the model wrote to its standard streams while the prediction had
// them alone.
func (f *flight) written(stream string, text []byte) {
	if r := f.record.Load(); r != nil { // before any client sees it
		r.Add(text)
	}
	f.log(stream, text)
}

// tellUnknown writes a log line with the members of the input that the model does not know.
func (f *flight) tellUnknown() {
	if len(f.checked.Unknown) > 0 {
		unknown := strings.Join(f.checked.Unknown, ", ")
		f.log("stderr", []byte("ignored unknown input: "+unknown+"\n"))
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
