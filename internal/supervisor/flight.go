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

// flight is one prediction with what belongs to its way through the server.
type flight struct {
	prediction *prediction.Prediction
	run        string // of the runs of the same id, this one; empty when no later server will ask
	checked    schema.Checked
	against    *schema.Input // what checked is by
	accepted   time.Time
	dir        *spool.Dir // where its files are, from the moment it has a slot
	replaces   string     // the run of the same id before, whose result is noted; empty when there is none
	lasting    bool       // somebody may ask for the result after a restart: they did not wait, or may ask once more

	ctx        context.Context // done when the prediction must end, with a Reason as its cause
	cancelBy   context.CancelCauseFunc
	noted      chan struct{} // closed when a later server would know of the prediction
	turn       chan *worker  // receives the worker whose slot it was given; nil when it is to fetch its files first
	watch      func()        // begins to watch whether the client leaves; nil when nobody waits, or once it was called
	look       bell          // something to read
	eventsOnly atomic.Bool   // what there is to read are events: it saves a stream of tokens a look for its response at each
	noteOnce   sync.Once
	queued     bool   // stands in the journal of the queue
	plain      bool   // left nothing but its request and response in the spool
	soon       bool   // set at the handover: the prediction before it was brief, so its end is expected at once
	brief      bool   // took less than BusyPoll from the handover to the end
	inputs     string // the directory with the files of its input; empty while there is none
	fetches    bool   // some of its files are not in the request: it has no slot while it fetches them
	unchecked  bool   // its input is checked once it has a slot: there was no schema before, or it was another model's
	deadline   time.Duration
	record     atomic.Pointer[spool.Record] // of what it writes, for a later server; nil for a brief one
	owed       webhook.Body                 // the terminal snapshot as it is on disk, nil when it is not
	hook       *webhook.Queue               // nil without a webhook; set before the handover
	span       *telemetry.Span              // of the whole prediction; nil without traces
	predict    *telemetry.Span              // of the run itself

	handed    bool // guarded by Supervisor.mu: the runner has the request
	settled   bool // guarded by Supervisor.mu: nothing of it is left in the spool, the slot is free
	abandoned bool // guarded by Supervisor.mu: it ended, but its runner goes on with it
}

func (s *Supervisor) newFlight(r prediction.Request, against *schema.Input, checked schema.Checked) *flight {
	f := &flight{
		prediction: prediction.New(r, s.Limits),
		accepted:   s.Now(),
		noted:      make(chan struct{}),
		turn:       make(chan *worker, 1),
		look:       newBell(),
	}
	f.setChecked(against, checked)
	if s.Durable {
		f.run = prediction.NewID()
	}
	f.ctx, f.cancelBy = context.WithCancelCause(context.Background())
	return f
}

func (f *flight) setChecked(against *schema.Input, c schema.Checked) {
	f.against, f.checked = against, c
	f.fetches = slices.ContainsFunc(c.Files, func(in schema.FileInput) bool { return !files.Source(in).Inline() })
}

// target says who hears of f, and makes a span of each attempt to tell them.
func (f *flight) target() webhook.Target {
	t := target(f.prediction.Request)
	if span := f.span; span != nil {
		t.Trace = func(e webhook.Event, attempt int) (http.Header, func(error)) {
			child := span.Child("webhook", trace.SpanKindClient, attribute.String("coggo.webhook.event", string(e)), attribute.Int("coggo.webhook.attempt", attempt))
			return child.Header(nil), func(err error) { child.End(text(err)) }
		}
	}
	return t
}

// text is what err says, empty for none.
func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func target(r prediction.Request) webhook.Target {
	t := webhook.Target{ID: r.ID, URL: r.Webhook, Header: r.TraceHeader()}
	if r.WebhookEvents != nil {
		t.Events = []webhook.Event{}
		for _, e := range r.WebhookEvents {
			t.Events = append(t.Events, webhook.Event(e))
		}
	}
	return t
}

// shown is what clients may know of f; f may be nil.
func (f *flight) shown() *prediction.Prediction {
	if f == nil {
		return nil
	}
	return f.prediction
}

// owes reports whether a receiver is to hear of the end.
func (f *flight) owes() bool { return f.hook != nil && f.prediction.Request.Wants("completed") }

func (f *flight) id() string { return f.prediction.Request.ID }

// partial is the body of a webhook on the way.
func (f *flight) partial() webhook.Body { return f.prediction.Partial() }

// cancel may be called often; the first reason counts.
func (f *flight) cancel(r Reason) { f.cancelBy(r) }

// mayLast is called before the prediction waits for anything.
func (f *flight) mayLast() {
	if f.watch != nil {
		f.watch()
		f.watch = nil
	}
}

// deserted reports whether it ended canceled because its client was gone. That is no result for a
// client that comes back and asks for the same again.
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

// note says that a later server would know of the prediction, or that it need not.
func (f *flight) note() { f.noteOnce.Do(func() { close(f.noted) }) }

// bell wakes the one goroutine that reads from it; a ring that nobody has heard yet stands for
// later ones too.
type bell chan struct{}

func newBell() bell { return make(bell, 1) }

func (b bell) poke() {
	select {
	case b <- struct{}{}:
	default:
	}
}

// news wakes the flight's goroutine; with eventsOnly there was no response when the directory was
// listed.
func (f *flight) news(eventsOnly bool) {
	f.eventsOnly.Store(eventsOnly)
	f.look.poke()
}

// log adds text that the model wrote.
func (f *flight) log(source string, text []byte) {
	f.prediction.Log(source, text)
	if f.hook != nil {
		f.hook.Changed("logs")
	}
}

// origin is f as the one who writes to a stream; w is nil for what an earlier server has run.
func (f *flight) origin(w *worker, stream string) Origin {
	o := Origin{ID: f.id(), Stream: stream}
	if w != nil {
		o.Runner = w.index
	}
	return o
}

// written takes what the model wrote to its standard streams while the prediction had them alone.
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

// entries turns a file table into what a Publisher takes.
func entries(table []spool.File) []files.Entry {
	out := make([]files.Entry, len(table))
	for i, t := range table {
		out[i] = files.Entry{Pointer: t.Pointer, Path: t.Path, Temporary: t.Temporary, Name: t.Name}
	}
	return out
}
