package supervisor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/coggo/coggo/internal/jsonscan"
	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/spool"
)

// note is what the server writes down of a prediction for a later server.
type note struct {
	Input json.RawMessage `json:"input"` // as sent; nil where it stands beside the note: in the request, or in Final
	Echo  json.RawMessage `json:"echo"`  // nil when it is the same as Input
	More  json.RawMessage `json:"more"`
	Final json.RawMessage `json:"final"` // the terminal snapshot

	ID            string            `json:"id"`
	Run           string            `json:"run"` // the same id can be run again: this tells the runs apart
	Method        prediction.Method `json:"method"`
	Webhook       string            `json:"webhook"`
	WebhookEvents []string          `json:"webhook_events_filter"` // nil means all
	OutputPrefix  string            `json:"output_file_prefix"`
	Context       map[string]string `json:"context"`
	CreatedAt     string            `json:"created_at"`
	TraceParent   string            `json:"traceparent"`
	TraceState    string            `json:"tracestate"`
	CancelAfter   time.Duration     `json:"cancel_after"`
	Detached      bool              `json:"detached"`
	OutputAt      int               `json:"output_at"` // where in Final the output belongs that is beside the note
	Unknown       []string          `json:"unknown"`   // members of the input that the model does not know
	Sealed        string            `json:"sealed"`    // of the input as sent, when only Final shows what is left of it
}

func noteOf(r prediction.Request, run string) note {
	n := note{
		ID: r.ID, Run: run, Method: r.Method, Webhook: r.Webhook, WebhookEvents: r.WebhookEvents, OutputPrefix: r.OutputPrefix,
		Context: r.Context, CreatedAt: r.CreatedAt, TraceParent: r.TraceParent, TraceState: r.TraceState,
		CancelAfter: r.CancelAfter, Detached: r.Detached, Sealed: r.Sealed, Input: r.Input, More: r.More,
	}
	if !bytes.Equal(r.Echo, r.Input) {
		n.Echo = r.Echo
	}
	return n
}

// encode keeps every byte of what clients and models have sent: a webhook that comes again must be
// the same. It is on the way of every prediction, so nothing is written that has no value. Final is
// written by spool.Journal.PutEnd.
func (n note) encode() []byte {
	out := make([]byte, 1, len(n.Input)+len(n.Echo)+len(n.More)+512)
	out[0] = '{'
	raw := func(name string, value []byte) {
		if value != nil {
			out = append(append(append(append(out, '"'), name...), `":`...), value...)
			out = append(out, ',')
		}
	}
	text := func(name, value string) {
		if value != "" {
			raw(name, prediction.AppendString(nil, value))
		}
	}
	text("id", n.ID)
	text("method", string(n.Method))
	text("webhook", n.Webhook)
	if n.WebhookEvents != nil {
		raw("webhook_events_filter", marshal(n.WebhookEvents))
	}
	text("output_file_prefix", n.OutputPrefix)
	if n.Context != nil {
		raw("context", marshal(n.Context))
	}
	text("created_at", n.CreatedAt)
	text("traceparent", n.TraceParent)
	text("tracestate", n.TraceState)
	if n.CancelAfter != 0 {
		raw("cancel_after", strconv.AppendInt(nil, int64(n.CancelAfter), 10))
	}
	if n.Unknown != nil {
		raw("unknown", marshal(n.Unknown))
	}
	if n.Detached {
		raw("detached", []byte("true"))
	}
	text("sealed", n.Sealed)
	if n.OutputAt != 0 {
		raw("output_at", strconv.AppendInt(nil, int64(n.OutputAt), 10))
	}
	raw("input", n.Input)
	raw("echo", n.Echo)
	raw("more", n.More)
	text("run", n.Run) // last, as there always is one
	out[len(out)-1] = '}'
	return out
}

// marshal is for texts, in lists and objects.
func marshal(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

// readNote reads a note, or a request that was made one (spool.Journal.Take). What can be large is
// taken unread, as a part of data.
func readNote(data []byte) (n note, request spool.Request, err error) {
	large := map[string]*json.RawMessage{"input": &n.Input, "echo": &n.Echo, "more": &n.More, "final": &n.Final, "server": &request.Server}
	if err := decode(data, &n, large); err != nil || request.Server == nil {
		return n, request, err
	}
	if err := decode(data, &request, map[string]*json.RawMessage{"input": &request.Input, "server": &request.Server}); err != nil {
		return n, request, err
	}
	n, err = noteIn(request)
	return n, request, err
}

// noteIn is what a request file says to a later server.
func noteIn(request spool.Request) (n note, err error) {
	if err := decode(request.Server, &n, map[string]*json.RawMessage{"input": &n.Input, "echo": &n.Echo, "more": &n.More}); err != nil {
		return n, fmt.Errorf("request %s has no notes: %w", request.ID, err)
	}
	n.ID, n.Method, n.Context, n.CreatedAt = request.ID, prediction.Method(request.Method), request.Context, request.CreatedAt
	if n.Input == nil {
		n.Input = request.Input
	}
	return n, nil
}

func (n note) request() prediction.Request {
	r := prediction.Request{
		ID: n.ID, Method: n.Method, Input: n.Input, Echo: n.Echo, More: n.More, Webhook: n.Webhook, WebhookEvents: n.WebhookEvents, OutputPrefix: n.OutputPrefix,
		Context: n.Context, CreatedAt: n.CreatedAt, TraceParent: n.TraceParent, TraceState: n.TraceState,
		CancelAfter: n.CancelAfter, Detached: n.Detached, Sealed: n.Sealed,
	}
	if r.Echo == nil {
		r.Echo = r.Input
	}
	return r
}

// notesOf is what the request file says to a later server, without what it says to the runner in
// the same bytes: see noteIn.
func notesOf(f *flight) json.RawMessage {
	n := noteOf(f.prediction.Request, f.run)
	n.ID, n.Method, n.Context, n.CreatedAt = "", "", nil, ""
	n.Unknown = f.checked.Unknown
	if n.Echo == nil && bytes.Equal(n.Input, f.checked.Input) {
		n.Input = nil
	}
	return n.encode()
}

// snapshotNote reads back what Snapshot wrote.
type snapshotNote struct {
	Input       json.RawMessage   `json:"input"`
	Status      prediction.Status `json:"status"`
	Output      json.RawMessage   `json:"output"`
	Error       string            `json:"error"`
	Logs        string            `json:"logs"`
	Metrics     json.RawMessage   `json:"metrics"`
	StartedAt   time.Time         `json:"started_at"`
	CompletedAt time.Time         `json:"completed_at"`
}

func readSnapshot(data []byte) (s snapshotNote, err error) {
	err = decode(data, &s, map[string]*json.RawMessage{"input": &s.Input, "output": &s.Output})
	return s, err
}

// decode decodes a JSON object into v, but takes the members that large names as they are:
// encoding/json would scan each of them several times, and there can be hundreds of megabytes to
// take up before the server answers.
func decode(data []byte, v any, large map[string]*json.RawMessage) error {
	rest := []byte{'{'}
	scan := jsonscan.Scanner{Text: data, MaxDepth: maxNoteDepth}
	scan.Space()
	if scan.Peek() != '{' {
		return scan.Unexpected()
	}
	err := scan.Object(func(m jsonscan.Member) {
		key, value := data[m.Key.Start:m.Key.End], data[m.Value.Start:m.Value.End:m.Value.End]
		if to := large[jsonscan.Unquote(key)]; to == nil {
			rest = append(append(append(append(rest, key...), ':'), value...), ',')
		} else if value[0] != 'n' { // null is as good as nothing
			*to = value
		}
	})
	if err != nil {
		return err
	}
	if len(rest) > 1 {
		rest = rest[:len(rest)-1]
	}
	return json.Unmarshal(append(rest, '}'), v)
}

// maxNoteDepth is as deep as an output can be nested, and more.
const maxNoteDepth = 100_000
