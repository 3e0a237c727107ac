package prediction

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coggo/coggo/internal/jsonscan"
	"github.com/coggo/coggo/internal/weburl"
)

// The envelope of a request: its JSON body, with errors in the form of FastAPI.

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

// besideInput is how much of the rest of a body may live as long as the input, which is a part of
// it. A prediction is retained long after its end, and the rest can be as large as a body may be.
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
	e.request.WebhookEvents = []WebhookEvent{}
	i := 0
	scan := jsonscan.Scanner{Text: value, MaxDepth: maxDepth}
	_ = scan.Array(func(at jsonscan.Span) { // it was read before
		var s WebhookEvent
		switch {
		case e.full():
		case json.Unmarshal(value[at.Start:at.End], &s) != nil || !slices.Contains(WebhookEvents, s):
			e.bad("enum", "must be one of: "+webhookEventNames(), key, i)
		case !slices.Contains(e.request.WebhookEvents, s):
			e.request.WebhookEvents = append(e.request.WebhookEvents, s)
		}
		i++
	})
}

func webhookEventNames() string {
	names := make([]string, len(WebhookEvents))
	for i, e := range WebhookEvents {
		names[i] = string(e)
	}
	return strings.Join(names, ", ")
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
