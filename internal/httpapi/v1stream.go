package httpapi

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/coggo/coggo/internal/prediction"
)

// streamV1 writes the events in Replicate's form
// (https://replicate.com/docs/topics/predictions/streaming): `output` with the bare text, `logs`,
// `error`, and `done` with an object that gives the reason if the prediction did not succeed.
func (a *API) streamV1(w http.ResponseWriter, r *http.Request) error {
	p, number, err := a.join(w, r, "")
	if p == nil {
		return err
	}
	e := newEventWriter(w)
	seen := number > 0        // the client has some of the output or of the logs
	aside := func(lost int) { // clients take any event named "error" for the end
		if lost > 0 {
			e.comment(strconv.Itoa(lost) + " events were dropped: the history is bounded")
		}
	}
	return a.follow(r, p, number, e, aside, func(ev prediction.Event) (over bool) {
		switch ev.Kind {
		case prediction.KindOutput:
			e.value(ev.Number, ev.Chunk())
			seen = true
		case prediction.KindLog:
			e.text(ev.Number, "logs", bytes.ToValidUTF8(ev.Text(), []byte("\uFFFD")))
			seen = true
		case prediction.KindCompleted:
			e.end(ev.Number, p.Snapshot())
			return true
		case prediction.KindStart:
			if seen {
				e.begunAnew()
			}
			return seen
		case prediction.KindMetric: // Replicate's streams do not have them
		}
		return false
	})
}

// begunAnew ends the stream of a client that has seen what an earlier run has done: it would append
// the output of the next one. The events have no id, so that to come back has the same answer.
func (e *eventWriter) begunAnew() {
	const why = "the worker was lost, and the prediction has started again: read its output from the start"
	for _, event := range [][2]string{{"error", `{"detail":"` + why + `"}`}, {"done", `{"reason":"error"}`}} {
		e.named(event[0], func(w io.Writer) error {
			_, err := io.WriteString(w, event[1])
			return err
		})
	}
}

// end writes the events after the last item. If a model returns one value, that is its only item.
func (e *eventWriter) end(number int, s prediction.Snapshot) {
	returned := len(s.Items) == 0 && s.Status == prediction.Succeeded
	if returned && s.OutputLen() > 0 && string(s.Output.Raw) != "[]" {
		e.value(number, s.JustOutput())
	}
	switch s.Status {
	case prediction.Failed:
		e.text(number, "error", append(prediction.AppendString([]byte(`{"detail":`), s.Error), '}'))
		e.text(number, "done", []byte(`{"reason":"error"}`))
	case prediction.Canceled:
		e.text(number, "done", []byte(`{"reason":"canceled"}`))
	default:
		e.text(number, "done", []byte("{}"))
	}
}

// value writes an item of the output: the bare text of a string, any other value as JSON.
func (e *eventWriter) value(number int, value io.WriterTo) {
	e.begin(number, "output")
	_, err := value.WriteTo(&unquoter{to: &lineWriter{e: e}})
	e.fail(err)
	e.put("\n\n")
}

// text writes an event whose data may have several lines.
func (e *eventWriter) text(number int, name string, data []byte) {
	e.begin(number, name)
	_, _ = (&lineWriter{e: e}).Write(data) // e keeps the error
	e.put("\n\n")
}

func (e *eventWriter) begin(number int, name string) {
	e.put("event: ")
	e.put(name)
	e.put("\nid: ")
	e.put(strconv.Itoa(number))
	e.put("\ndata: ")
}

// lineWriter writes the data of an event, and begins a new data line for each line of it.
type lineWriter struct {
	e        *eventWriter
	returned bool // the text so far ends with \r
}

func (l *lineWriter) Write(p []byte) (int, error) {
	from := 0
	for i, c := range p {
		if c == '\r' || c == '\n' {
			_, _ = l.e.Write(p[from:i]) // e keeps the error
			from = i + 1
			if c == '\r' || !l.returned {
				l.e.put("\ndata: ")
			}
		}
		l.returned = c == '\r'
	}
	_, err := l.e.Write(p[from:])
	return len(p), err
}

// unquoter takes JSON text in pieces. It writes the text of a string, and any other value as it is.
type unquoter struct {
	to     io.Writer
	begun  bool
	quoted bool
	held   []byte // the beginning of a character that the next piece completes
}

func (u *unquoter) Write(p []byte) (int, error) {
	rest := p
	if !u.begun && len(p) > 0 {
		u.begun = true
		if u.quoted = p[0] == '"'; u.quoted {
			rest = p[1:]
		}
	}
	if !u.quoted {
		return u.to.Write(p)
	}
	for len(rest) > 0 {
		n := min(len(rest), spillBytes)
		text := append(u.held, rest[:n]...)
		rest = rest[n:]
		whole := wholeCharacters(text)
		quoted := slices.Concat([]byte{'"'}, text[:whole], []byte{'"'})
		if _, err := io.WriteString(u.to, plainText(quoted)); err != nil {
			return 0, err
		}
		u.held = bytes.Clone(text[whole:])
	}
	return len(p), nil
}

// wholeCharacters returns how much of the inside of a JSON string can be read without the text
// after it. Nothing follows a quote.
func wholeCharacters(text []byte) int {
	for i := 0; i < len(text); {
		n := 1
		switch c := text[i]; {
		case c == '"':
			return i
		case c == '\\':
			n = escapeLen(text[i:])
		case c >= utf8.RuneSelf && !utf8.FullRune(text[i:]):
			return i
		}
		if n == 0 {
			return i
		}
		i += n
	}
	return len(text)
}

// escapeLen returns the length of the escape at the beginning of text, 0 if its end is missing. A
// character above U+FFFF is written as two escapes.
func escapeLen(text []byte) int {
	const short, long = len(`\n`), len(`\uD83D`)
	switch {
	case len(text) < short:
		return 0
	case text[1] != 'u':
		return short
	case len(text) < long:
		return 0
	case text[2]|0x20 != 'd' || !bytes.ContainsAny(text[3:4], "89abAB"):
		return long
	case len(text) < 2*long && bytes.HasPrefix([]byte(`\u`), text[long:min(len(text), long+2)]):
		return 0
	case len(text) < 2*long && bytes.HasPrefix(text[long:], []byte(`\u`)):
		return 0
	case bytes.HasPrefix(text[long:], []byte(`\u`)) && text[long+2]|0x20 == 'd' &&
		bytes.ContainsAny(text[long+3:long+4], "cdefCDEF"):
		return 2 * long
	}
	return long
}

// plainText returns the text of a JSON string, or the JSON of any other value.
func plainText(value []byte) string {
	var s string
	if json.Unmarshal(value, &s) == nil {
		return s
	}
	return string(value)
}
