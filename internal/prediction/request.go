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

// Method is the function of the model that a prediction runs.
type Method string

// The methods of a model.
const (
	Predict Method = "predict"
	Train   Method = "train"
)

// Noun returns the word for a run of the method.
func (m Method) Noun() string {
	if m == Train {
		return "training"
	}
	return "prediction"
}

// WebhookEvent is an event that a webhook receiver can subscribe to.
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

// Request is a client's request. The envelope is checked. Input is checked later, against the
// model's schema.
//
// Its JSON form is an entry of the server's journal. Because a later version has to read it, a
// member keeps its name. The raw members, which can be large, are written and read apart.
type Request struct {
	Input       json.RawMessage `json:"-"` // as sent; nil if absent
	MaskedInput json.RawMessage `json:"-"` // Input as clients see it: with secrets masked
	// Extra members that every view gets, as an object, for a client of another API; may be nil.
	Extra json.RawMessage `json:"-"`

	ID            string            `json:"id,omitzero"`
	Method        Method            `json:"method,omitzero"`
	Webhook       string            `json:"webhook,omitzero"`
	WebhookEvents []WebhookEvent    `json:"webhook_events_filter,omitzero"` // nil: all; empty: none
	OutputPrefix  string            `json:"output_file_prefix,omitzero"`    // URL of file outputs
	Context       map[string]string `json:"context,omitzero"`
	CreatedAt     string            `json:"created_at,omitzero"`
	TraceParent   string            `json:"traceparent,omitzero"`
	TraceState    string            `json:"tracestate,omitzero"`
	CancelAfter   time.Duration     `json:"cancel_after,omitzero"` // 0: no deadline
	Deadline      time.Time         `json:"deadline,omitzero"`     // CancelAfter counted from the acceptance by another server
	// The Seal of an Input that is not kept because it has secrets.
	Sealed string `json:"sealed,omitzero"`
	// No client waits on a connection, see Prediction.Attach.
	Detached bool   `json:"detached,omitzero"`
	Lease    *Lease `json:"lease,omitzero"` // of a queue that keeps the request and its end; nil without one

	Followed bool `json:"-"` // somebody waits for its end or reads its events, from the start
	// Unknown members of a body without input: perhaps inputs in the wrong place.
	Strays []string `json:"-"`
	// These choose the model where there are several: OWNER/NAME[:VERSION], and the members of
	// Replicate's API. The queue makes Model the whole name.
	Model   string          `json:"-"`
	Version json.RawMessage `json:"-"`
	// It may wait for a slot where others may not, because its client cannot handle a refusal.
	Patient bool `json:"-"`
}

// Lease is a run of a queue as the worker has it that took it on.
type Lease struct {
	Run     string `json:"run"`
	Owner   string `json:"owner"` // the process
	Attempt int    `json:"attempt"`
	Turn    int    `json:"turn,omitzero"` // counts all claims, also of workers that gave the run back

	Queued time.Time `json:"-"` // when the broker stored the request
}

// field reads one member of a body into the request. It is here so that an option has one file.
func (e *envelope) field(key string, value json.RawMessage) {
	r := e.request
	switch key {
	case "input":
		if value[0] != '{' {
			e.bad("dict_type", "must be an object", key)
			return
		}
		r.Input = value
	case "id":
		if id, ok := e.text(key, value); ok {
			if msg := badID(id); msg != "" {
				e.bad("value_error", msg, key)
			}
			r.ID = id
		}
	case "webhook":
		r.Webhook = e.url(key, value)
	case "output_file_prefix":
		r.OutputPrefix = e.url(key, value)
	case "webhook_events_filter":
		e.events(key, value)
	case "context":
		e.context(key, value)
	case "created_at":
		e.created(key, value)
	case "version":
		r.Version = value
	case "model", "stream", "webhook_completed": // members of Replicate's API
	default:
		if len(e.strays) < maxStrays {
			e.strays = append(e.strays, key)
		}
	}
}

// AskedVersion returns Version as text, empty if there is none.
func (r Request) AskedVersion() (version string, err error) {
	if r.Version == nil || json.Unmarshal(r.Version, &version) == nil {
		return version, nil
	}
	return "", InvalidRequest(Problem{[]any{"body", "version"}, "must be a string", "string_type"})
}

// WantsWebhook reports whether the webhook receiver subscribes to event.
func (r Request) WantsWebhook(event WebhookEvent) bool {
	return r.Webhook != "" && (r.WebhookEvents == nil || slices.Contains(r.WebhookEvents, event))
}

// contextBytes is the approximate memory of an entry of Context, without its strings.
const contextBytes = 64

// size returns the approximate number of bytes that the request holds.
func (r Request) size() int {
	n := len(r.MaskedInput) + len(r.Extra) + len(r.Webhook) + len(r.OutputPrefix) + len(r.CreatedAt) +
		len(r.TraceParent) + len(r.TraceState)
	// With secrets, Input and MaskedInput are different bytes; without, they share them.
	if len(r.Input) > 0 && (len(r.MaskedInput) == 0 || &r.Input[0] != &r.MaskedInput[0]) {
		n += len(r.Input)
	}
	for name, value := range r.Context {
		n += len(name) + len(value) + contextBytes
	}
	return n
}

// SameRun reports whether r asks for the same run as other: the same method, and the same input but
// for white space and the order of members. An absent input equals an empty one. key is the key of
// Seal.
func (r Request) SameRun(other Request, key []byte) bool {
	switch {
	case r.Method != other.Method:
		return false
	case other.Sealed != "":
		return hmac.Equal([]byte(r.Seal(key)), []byte(other.Sealed))
	default:
		return bytes.Equal(r.Input, other.Input) ||
			bytes.Equal(canonical(r.Input), canonical(other.Input))
	}
}

// Seal returns a digest that is the same for inputs that ask for the same run. Because a secret may
// be short enough to be guessed, the digest reveals nothing about Input without key.
func (r Request) Seal(key []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write(canonical(r.Input))
	return hex.EncodeToString(mac.Sum(nil))
}

// canonical normalizes white space and the order of members. It keeps numbers as they are written,
// because large ones would become equal as floats.
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
