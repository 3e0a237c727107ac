package httpapi

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/supervisor"
)

// streams refuses a stream that the model or the method does not offer.
func (a *API) streams(r *http.Request, m prediction.Method) error {
	if m == prediction.Train {
		return prediction.Refuse(prediction.NotAcceptable, "trainings are not streamed")
	}
	doc, err := a.model(r)
	if err != nil {
		return err
	}
	if !doc.Streaming() {
		return prediction.Refuse(prediction.NotAcceptable,
			"this model does not stream: its author has to add @cog.streaming")
	}
	return nil
}

// attach joins a live or retained prediction, after the event that Last-Event-ID names.
func (a *API) attach(only prediction.Method) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		p, number, err := a.join(w, r, only)
		if p == nil {
			return err
		}
		return a.stream(w, r, p, number, number == 0)
	}
}

// join finds the prediction that a client wants to follow, and the last event that it has seen. The
// prediction is nil if join has answered already, or returns an error.
func (a *API) join(
	w http.ResponseWriter, r *http.Request, only prediction.Method,
) (*prediction.Prediction, int, error) {
	p, err := find(r, only, a.Supervisor.Stream)
	if err != nil {
		return nil, 0, err
	}
	number, over := resume(r, p)
	if over || r.Method == http.MethodHead {
		headOnly(w, over)
		return nil, 0, nil
	}
	return p, number, nil
}

// resume returns the number of the last event that a client has seen. It is 0 if the client comes
// for the first time, or names an event that never existed. over says that no event can follow: the
// answer is 204 then, because an EventSource, which reconnects after each end, would do so for
// ever.
func resume(r *http.Request, p *prediction.Prediction) (number int, over bool) {
	number, err := strconv.Atoi(r.Header.Get("Last-Event-ID"))
	ended := p.Status().Terminal() // asked first: no event follows then
	last := p.LastEvent()
	if err != nil || number < 1 || number > last {
		return 0, false
	}
	return number, ended && number == last
}

// headOnly answers without events.
func headOnly(w http.ResponseWriter, over bool) {
	if over {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	streamHeader(w)
}

// stream writes the events after number until the prediction has finished or the client leaves. A
// late reader gets the newest events of the history, and reads how many it missed. If a prediction
// was made for its readers, and the last one leaves, stream cancels it.
func (a *API) stream(
	w http.ResponseWriter, r *http.Request, p *prediction.Prediction, number int, late bool,
) error {
	detach := p.Attach()
	defer func() {
		if detach() {
			_ = a.Supervisor.Cancel(p, supervisor.ByDisconnect) // NotFound: it has just finished
		}
	}()
	e := newEventWriter(w)
	if late {
		var skipped int
		number, skipped = p.ReplayFrom()
		e.skipped(skipped)
	}
	return a.follow(r, p, number, e, e.skipped, func(ev prediction.Event) (over bool) {
		if ev.Kind != prediction.KindCompleted {
			e.event(ev, ev.WriteData)
			return false
		}
		e.event(ev, func(w io.Writer) error {
			_, err := p.Snapshot().WriteTo(w)
			return err
		})
		return true
	})
}

// follow calls write for the events after number as they come, until write reports that the stream
// is over or the client leaves. It calls skipped with the number of events that a slow reader has
// missed.
func (a *API) follow(
	r *http.Request, p *prediction.Prediction, number int, e *eventWriter,
	skipped func(int), write func(prediction.Event) (over bool),
) error {
	quiet := time.NewTicker(a.KeepAlive)
	defer quiet.Stop()
	left := leaving(r.Context())
	for {
		events, lost, more := p.After(number)
		skipped(lost)
		for _, event := range events {
			number = event.Number
			if write(event) {
				return e.flush()
			}
			if e.err != nil {
				return e.err
			}
		}
		if err := e.flush(); err != nil {
			return err
		}
		select {
		case <-more:
		case <-quiet.C:
			e.comment("keep-alive")
		case <-left.Done():
			return nil
		}
	}
}

// spillBytes is how much of the events is collected before it is written. The prediction holds
// events that a reader has not taken yet, so that there is not a copy for each reader.
const spillBytes = 64 << 10

// eventWriter writes server-sent events. Its error says that the reader has left, or took nothing
// for too long.
type eventWriter struct {
	w   http.ResponseWriter
	buf []byte
	err error // the first one; stops all writing
}

func streamHeader(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no") // keeps nginx from holding events back
	w.WriteHeader(http.StatusOK)
}

func newEventWriter(w http.ResponseWriter) *eventWriter {
	streamHeader(w)
	return &eventWriter{w: w}
}

func (e *eventWriter) event(ev prediction.Event, write func(io.Writer) error) {
	e.put("id: ")
	e.put(strconv.Itoa(ev.Number))
	e.put("\n")
	e.named(string(ev.Kind), write)
}

func (e *eventWriter) named(name string, write func(io.Writer) error) {
	e.put("event: ")
	e.put(name)
	e.put("\ndata: ")
	e.fail(write(oneLine{e}))
	e.put("\n\n")
}

// fail ends the stream if an event can't be written whole.
func (e *eventWriter) fail(err error) {
	if e.err == nil {
		e.err = err
	}
}

// oneLine writes JSON on one line. Line breaks in JSON are always white space between tokens.
type oneLine struct{ e *eventWriter }

func (o oneLine) Write(p []byte) (int, error) {
	rest := p
	for {
		i := bytes.IndexAny(rest, "\r\n")
		if i < 0 {
			_, err := o.e.Write(rest)
			return len(p), err
		}
		_, _ = o.e.Write(rest[:i]) // e keeps the error
		o.e.put(" ")
		rest = rest[i+1:]
	}
}

// skipped tells the reader that n events were dropped.
func (e *eventWriter) skipped(n int) {
	if n > 0 {
		e.named("error", func(w io.Writer) error {
			const body = `{"error":"events were dropped: the history is bounded","skipped":%d}`
			_, err := fmt.Fprintf(w, body, n)
			return err
		})
	}
}

func (e *eventWriter) comment(text string) {
	e.put(": ")
	e.put(text)
	e.put("\n\n")
}

func (e *eventWriter) put(text string) {
	e.buf = append(e.buf, text...)
	e.spill()
}

// Write collects p, and sends the collection once it is large.
func (e *eventWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0 && e.err == nil; e.spill() {
		n := min(len(rest), spillBytes-len(e.buf))
		e.buf = append(e.buf, rest[:n]...)
		rest = rest[n:]
	}
	return len(p), e.err
}

func (e *eventWriter) spill() {
	if len(e.buf) >= spillBytes {
		e.send()
	}
}

func (e *eventWriter) send() {
	if e.err == nil {
		_, e.err = e.w.Write(e.buf)
	}
	e.buf = e.buf[:0]
}

// flush sends the collection.
func (e *eventWriter) flush() error {
	e.send()
	if e.err != nil {
		return e.err
	}
	return http.NewResponseController(e.w).Flush()
}
