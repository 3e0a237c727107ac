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

// The envelope of a request: its JSON body, with errors in FastAPI's form.

// ParseRequest reads the JSON body of a create request. An empty body is a request with all
// defaults. It returns an *Error with code Malformed or Invalid; Invalid lists every bad field of
// the envelope. ID stays empty if the body has none.
func ParseRequest(body []byte) (Request, error) {
	r := Request{Method: Predict}
	// Some Windows clients put a byte order mark before UTF-8.
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
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

// besideInput limits how much of the rest of a body is kept alive by the input, which is a slice of
// the body. A prediction is retained long after its end, and the rest can be as large as the
// largest body.
const besideInput = 4 << 10

// maxProblems is the largest number of problems that are listed for an envelope.
const maxProblems = 100

type envelope struct {
	request  *Request
	problems []Problem
	strays   []string
}

// full reports whether the list of problems is full, so that the rest is not checked.
func (e *envelope) full() bool { return len(e.problems) >= maxProblems }

// maxDepth bounds the nesting of a body. It is larger than the schema's limit, so that the schema
// refuses a deep input and names the place. A level takes half a kilobyte of stack.
const maxDepth = 1000

// read walks the top level of body. It neither copies nor decodes the input, which can be large.
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
		return InvalidRequest(Problem{
			[]any{"body"}, `the body must be a JSON object, as in {"input": {…}}`, "dict_type",
		})
	}
	return nil
}

func malformed(why string) error { return Refuse(Malformed, "the body is not valid JSON: "+why) }

// maxStrays is how many unknown members are kept: enough for an error that guesses their meaning.
const maxStrays = 32

func (e *envelope) bad(kind, msg string, loc ...any) {
	e.problems = append(e.problems, Problem{append([]any{"body"}, loc...), msg, kind})
}

// text reads a string. It reports false for an empty string too: like null, it counts as absent.
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

// events reads the list item by item, because a list of a million items that is decoded as a whole
// takes many times its length.
func (e *envelope) events(key string, value json.RawMessage) {
	if value[0] != '[' {
		e.bad("list_type", "must be a list", key)
		return
	}
	e.request.WebhookEvents = []WebhookEvent{}
	i := 0
	scan := jsonscan.Scanner{Text: value, MaxDepth: maxDepth}
	_ = scan.Array(func(at jsonscan.Span) { // read has checked it
		var s WebhookEvent
		switch {
		case e.full():
		case json.Unmarshal(value[at.Start:at.End], &s) != nil,
			!slices.Contains(WebhookEvents, s):
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
	_ = scan.Object(func(m jsonscan.Member) { // read has checked it
		count++
		if count > maxContext || e.full() {
			return
		}
		var name, text string
		item := value[m.Value.Start:m.Value.End]
		_ = json.Unmarshal(value[m.Key.Start:m.Key.End], &name) // a key is a string
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

// maxContext is the largest number of members of a request's context. A member takes more memory
// than it has bytes.
const maxContext = 1000

// createdForms are the ISO 8601 forms that are accepted, with T in place of a space. The answer
// echoes the text as it came.
var createdForms = []string{
	"2006-01-02T15:04:05.999999999Z07:00",
	"2006-01-02T15:04:05.999999999Z0700",
	"2006-01-02T15:04:05.999999999",
	"2006-01-02T15:04Z07:00",
	"2006-01-02T15:04",
	"20060102T150405Z0700",
	"20060102T150405",
	time.DateOnly,
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
