package prediction

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/coggo/coggo/internal/jsonscan"
	"github.com/coggo/coggo/internal/weburl"
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

// WebhookEvents are the events that a webhook can be asked for.
var WebhookEvents = []string{"start", "output", "logs", "completed"}

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
	WebhookEvents []string          `json:"webhook_events_filter,omitzero"` // nil means all, empty means none
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

// Wants reports whether the webhook is to hear of event.
func (r Request) Wants(event string) bool {
	return r.Webhook != "" && (r.WebhookEvents == nil || slices.Contains(r.WebhookEvents, event))
}

// contextBytes is about what an entry of Context takes beside its texts.
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

// MaxIDBytes is the length of the longest id.
const MaxIDBytes = 512

// NewID returns a random id of 26 lowercase letters and digits.
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:]))
}

// ParseID checks an id that stands at loc.
func ParseID(id string, loc ...any) (string, error) {
	if id == "" || len(id) > MaxIDBytes {
		return "", InvalidRequest(Problem{loc, fmt.Sprintf("an id has 1 to %d bytes, this one %d", MaxIDBytes, len(id)), "value_error"})
	}
	if !utf8.ValidString(id) {
		return "", InvalidRequest(Problem{loc, "an id must be UTF-8 text", "value_error"})
	}
	return id, nil
}

// Same reports whether r asks for the same run as other: by the same method, with an input that
// differs in white space and in the order of its members at most. No input at all is the same as an
// empty one. key is that of Seal.
func (r Request) Same(other Request, key []byte) bool {
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

// ParseRequest reads the JSON body of a create request; an empty body is a request with every
// default. It returns an *Error with code Malformed or Invalid, the latter with every bad field of
// the envelope. ID stays empty when the body has none.
func ParseRequest(body []byte) (Request, error) {
	r := Request{Method: Predict}
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")) // the mark that some Windows clients put before UTF-8
	if len(bytes.TrimSpace(body)) == 0 {
		return r, nil
	}
	p := envelope{request: &r}
	if err := p.read(body); err != nil {
		return Request{}, err
	}
	if len(p.problems) > 0 {
		return Request{}, InvalidRequest(p.problems...)
	}
	if r.Input == nil {
		r.Strays = p.strays
	}
	if len(body)-len(r.Input) > besideInput {
		r.Input = bytes.Clone(r.Input)
	}
	return r, nil
}

// besideInput is how much of a body beside its input may live as long as the input, which is a part
// of it. A prediction is kept long after its end, and what nobody reads can be as large as a body
// may be.
const besideInput = 4 << 10

// maxProblems is how many problems of an envelope are listed.
const maxProblems = 100

type envelope struct {
	request  *Request
	problems []Problem
	strays   []string
}

// full reports whether so much is wrong that the rest is not looked at.
func (e *envelope) full() bool { return len(e.problems) >= maxProblems }

// maxDepth bounds the nesting of a body whose input may still be refused for less, with its place.
// A level takes half a kilobyte of stack.
const maxDepth = 1000

// read walks the top level of body: a large input is neither copied nor decoded here.
func (e *envelope) read(body []byte) error {
	scan := jsonscan.Scanner{Text: body, MaxDepth: maxDepth}
	scan.Space()
	object := scan.Peek() == '{'
	var err error
	var flaw *jsonscan.Flaw
	if object {
		err = scan.Object(func(m jsonscan.Member) {
			value := body[m.Value.Start:m.Value.End]
			switch {
			case m.Flaw == jsonscan.NotUnicode:
				flaw = m.Flaw
			case value[0] != 'n':
				e.field(jsonscan.Unquote(body[m.Key.Start:m.Key.End]), value)
			}
		})
	} else {
		_, err = scan.Value()
	}
	scan.Space()
	switch {
	case err != nil:
		return malformed(err.Error())
	case scan.Pos < len(body):
		return malformed("there is more after its end: " + scan.Unexpected().Error())
	case flaw != nil:
		return malformed("it " + flaw.Msg)
	case !object:
		return InvalidRequest(Problem{[]any{"body"}, `the body must be a JSON object, as in {"input": {…}}`, "dict_type"})
	}
	return nil
}

func malformed(why string) error { return Refuse(Malformed, "the body is not valid JSON: "+why) }

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
			if _, err := ParseID(id); err != nil {
				e.bad("value_error", err.(*Error).Problems[0].Msg, key)
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
	case "version", "model", "stream", "webhook_completed": // of Replicate's API
	default:
		if len(e.strays) < maxStrays {
			e.strays = append(e.strays, key)
		}
	}
}

// maxStrays is how many unknown members are kept: enough to tell what is meant.
const maxStrays = 32

func (e *envelope) bad(kind, msg string, loc ...any) {
	e.problems = append(e.problems, Problem{append([]any{"body"}, loc...), msg, kind})
}

// text reads a string. It reports false for an empty one too: as with null, the member counts as
// absent.
func (e *envelope) text(key string, value json.RawMessage) (string, bool) {
	var s string
	if json.Unmarshal(value, &s) != nil {
		e.bad("string_type", "must be a string", key)
	}
	return s, s != ""
}

func (e *envelope) url(key string, value json.RawMessage) string {
	s, ok := e.text(key, value)
	if !ok {
		return ""
	}
	if _, err := weburl.Parse(s); err != nil {
		e.bad("url_parsing", err.Error(), key)
	}
	return s
}

// events reads the list item by item: decoded as a whole, one of a million items would take many
// times its length.
func (e *envelope) events(key string, value json.RawMessage) {
	if value[0] != '[' {
		e.bad("list_type", "must be a list", key)
		return
	}
	e.request.WebhookEvents = []string{}
	i := 0
	scan := jsonscan.Scanner{Text: value, MaxDepth: maxDepth}
	_ = scan.Array(func(at jsonscan.Span) { // it was read before
		var s string
		switch {
		case e.full():
		case json.Unmarshal(value[at.Start:at.End], &s) != nil || !slices.Contains(WebhookEvents, s):
			e.bad("enum", "must be one of: "+strings.Join(WebhookEvents, ", "), key, i)
		case !slices.Contains(e.request.WebhookEvents, s):
			e.request.WebhookEvents = append(e.request.WebhookEvents, s)
		}
		i++
	})
}

func (e *envelope) context(key string, value json.RawMessage) {
	if value[0] != '{' {
		e.bad("dict_type", "must be an object of strings", key)
		return
	}
	e.request.Context = map[string]string{}
	count := 0
	scan := jsonscan.Scanner{Text: value, MaxDepth: maxDepth}
	_ = scan.Object(func(m jsonscan.Member) { // it was read before
		count++
		if count > maxContext || e.full() {
			return
		}
		var name, text string
		item := value[m.Value.Start:m.Value.End]
		_ = json.Unmarshal(value[m.Key.Start:m.Key.End], &name) // it is a string
		if item[0] != '"' || json.Unmarshal(item, &text) != nil {
			e.bad("string_type", "must be a string", key, name)
			return
		}
		e.request.Context[name] = text
	})
	if count > maxContext && !e.full() {
		e.bad("too_long", fmt.Sprintf("must have at most %d members", maxContext), key)
	}
}

// maxContext is how many members the context of a request may have: each takes more memory than it
// has bytes.
const maxContext = 1000

// createdForms are the ISO 8601 forms that are understood, after a T in place of a space; the text
// is echoed as it came.
var createdForms = []string{
	"2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999",
	"2006-01-02T15:04Z07:00", "2006-01-02T15:04", "20060102T150405Z0700", "20060102T150405", time.DateOnly,
}

func (e *envelope) created(key string, value json.RawMessage) {
	s, ok := e.text(key, value)
	if !ok {
		return
	}
	upper := strings.Replace(strings.ToUpper(s), " ", "T", 1)
	for _, form := range createdForms {
		if _, err := time.Parse(form, upper); err == nil {
			e.request.CreatedAt = s
			return
		}
	}
	e.bad("datetime_parsing", "must be an ISO 8601 time such as 2026-01-02T03:04:05Z", key)
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
