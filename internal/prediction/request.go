package prediction

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Method is what a prediction runs.
type Method string

// The methods of a model.
const (
	Predict Method = "predict"
	Train   Method = "train"
)

// Noun is what a run of the method is called.
func (m Method) Noun() string {
	if m == Train {
		return "training"
	}
	return "prediction"
}

// WebhookEvent is a kind of update that a webhook receiver can subscribe to.
type WebhookEvent string

// The events. A new one belongs in WebhookEvents too.
const (
	WebhookStart     WebhookEvent = "start"
	WebhookOutput    WebhookEvent = "output"
	WebhookLogs      WebhookEvent = "logs"
	WebhookCompleted WebhookEvent = "completed" // the terminal one
)

// WebhookEvents are all events.
var WebhookEvents = []WebhookEvent{WebhookStart, WebhookOutput, WebhookLogs, WebhookCompleted}

// Request is what a client asked for. The envelope is checked; Input is not, until the model's
// schema has seen it.
//
// Its JSON form is an entry of the server's journal, which a later version has to read: a member
// keeps its name. The raw members, which can be large, are written and read apart.
type Request struct {
	Input json.RawMessage `json:"-"` // as sent; nil if absent
	Echo  json.RawMessage `json:"-"` // Input as shown to clients: secrets masked
	More  json.RawMessage `json:"-"` // an object whose members every view gains: of a client that knows another API; may be nil

	ID            string            `json:"id,omitzero"`
	Method        Method            `json:"method,omitzero"`
	Webhook       string            `json:"webhook,omitzero"`
	WebhookEvents []WebhookEvent    `json:"webhook_events_filter,omitzero"` // nil means all, empty means none
	OutputPrefix  string            `json:"output_file_prefix,omitzero"`    // where file outputs are uploaded
	Context       map[string]string `json:"context,omitzero"`
	CreatedAt     string            `json:"created_at,omitzero"`
	TraceParent   string            `json:"traceparent,omitzero"`
	TraceState    string            `json:"tracestate,omitzero"`
	CancelAfter   time.Duration     `json:"cancel_after,omitzero"` // 0: no deadline
	Sealed        string            `json:"sealed,omitzero"`       // Seal of an Input that is not kept because it has secrets
	Detached      bool              `json:"detached,omitzero"`     // no client waits for it on a connection, see Prediction.Attach

	Strays  []string `json:"-"` // unknown members of a body without input: perhaps inputs in the wrong place
	Patient bool     `json:"-"` // may wait for a slot where others may not: its client does not handle a refusal
}

// WantsWebhook reports whether the webhook receiver subscribes to event.
func (r Request) WantsWebhook(event WebhookEvent) bool {
	return r.Webhook != "" && (r.WebhookEvents == nil || slices.Contains(r.WebhookEvents, event))
}

// contextBytes is about the memory that an entry of Context takes in addition to its strings.
const contextBytes = 64

// size is about the number of bytes that the request holds.
func (r Request) size() int {
	n := len(r.Echo) + len(r.More) + len(r.Webhook) + len(r.OutputPrefix) + len(r.CreatedAt) + len(r.TraceParent) + len(r.TraceState)
	if len(r.Input) > 0 && (len(r.Echo) == 0 || &r.Input[0] != &r.Echo[0]) { // with secrets the two are not the same bytes
		n += len(r.Input)
	}
	for name, value := range r.Context {
		n += len(name) + len(value) + contextBytes
	}
	return n
}

// SameRun reports whether r asks for the same run as other: by the same method, with an input that
// differs in white space and in the order of its members at most. No input at all is the same as an
// empty one. key is that of Seal.
func (r Request) SameRun(other Request, key []byte) bool {
	switch {
	case r.Method != other.Method:
		return false
	case other.Sealed != "":
		return hmac.Equal([]byte(r.Seal(key)), []byte(other.Sealed))
	default:
		return bytes.Equal(r.Input, other.Input) || bytes.Equal(canonical(r.Input), canonical(other.Input))
	}
}

// Seal is the same for inputs that ask for the same run. It tells nothing of Input to those who do
// not know key: a secret may be short enough to be guessed.
func (r Request) Seal(key []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write(canonical(r.Input))
	return hex.EncodeToString(mac.Sum(nil))
}

// canonical leaves numbers as they are written: as floats, large ones would become equal.
func canonical(input json.RawMessage) []byte {
	if input == nil {
		return []byte("{}")
	}
	value := jsontext.Value(slices.Clone(input))
	if value.Format(jsontext.AllowDuplicateNames(true), jsontext.ReorderRawObjects(true)) != nil {
		return input
	}
	return value
}

// TraceHeader returns the W3C trace context headers of the request.
func (r Request) TraceHeader() http.Header {
	h := http.Header{}
	if r.TraceParent != "" {
		h.Set("Traceparent", r.TraceParent)
	}
	if r.TraceState != "" {
		h.Set("Tracestate", r.TraceState)
	}
	return h
}
