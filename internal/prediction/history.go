package prediction

import (
	"io"
	"strconv"
)

// Kind is the name of an event of the stream.
type Kind string

// The kinds, by their names on the wire.
const (
	KindStart     Kind = "start"
	KindOutput    Kind = "output"
	KindLog       Kind = "log"
	KindMetric    Kind = "metric"
	KindCompleted Kind = "completed"
)

// Event is one event of the stream. Events are numbered from 1 without gaps. An event refers to the
// prediction's own data, so its JSON is made only when a client reads it.
type Event struct {
	Number int
	Kind   Kind

	name    string   // of start: the id; of log: the source
	raw     []byte   // of output: the chunk; of log: the text
	inserts []Insert // of output
	index   int      // of output
	metric  *Metric  // of metric
}

// eventBytes is the approximate memory of an Event, without the data that it refers to.
const eventBytes = 104

// WriteData writes the JSON object of the event. It writes nothing for KindCompleted: a Snapshot is
// sent then.
func (e Event) WriteData(w io.Writer) error {
	switch e.Kind {
	case KindOutput:
		return inside(w, []byte(`{"chunk":`), func() error {
			_, err := e.Chunk().WriteTo(w)
			return err
		}, append(strconv.AppendInt([]byte(`,"index":`), int64(e.index), 10), '}'))
	case KindLog:
		head := append(AppendString([]byte(`{"source":`), e.name), `,"data":`...)
		return inside(w, head, func() error { return writeString(w, e.raw) }, []byte{'}'})
	default:
		_, err := w.Write(e.small())
		return err
	}
}

// inside writes head, calls write, and writes tail.
func inside(w io.Writer, head []byte, write func() error, tail []byte) error {
	_, err := w.Write(head)
	if err == nil {
		err = write()
	}
	if err == nil {
		_, err = w.Write(tail)
	}
	return err
}

// small returns the JSON object of an event that is never large.
func (e Event) small() (d []byte) {
	switch e.Kind {
	case KindStart:
		d = AppendString([]byte(`{"id":`), e.name)
		d = append(d, `,"status":"`...)
		d = append(d, Processing...)
		return append(d, `"}`...)
	case KindMetric:
		d = AppendString([]byte(`{"name":`), e.metric.Name)
		d = appendRaw(append(d, `,"value":`...), e.metric.Value, "null")
		d = AppendString(append(d, `,"mode":`...), e.metric.Mode)
		return append(d, '}')
	default:
		return nil
	}
}

// Chunk returns the item of a KindOutput.
func (e Event) Chunk() Value { return Value{e.raw, e.inserts} }

// Index is the place of a KindOutput in the output.
func (e Event) Index() int { return e.index }

// Source is the stream of a KindLog.
func (e Event) Source() string { return e.name }

// Metric is that of a KindMetric.
func (e Event) Metric() Metric { return *e.metric }

// Text returns the text that a KindLog adds, as the model wrote it.
func (e Event) Text() []byte { return e.raw }

// liveEvents is how many events a connected reader may be behind before it loses some. It bounds
// memory, and a slow reader never holds up the model.
const liveEvents = 32 << 10

// restoredEvent is the number of the terminal event of a prediction that an earlier server ran. It
// is larger than any number that a reader can have seen from that server.
const restoredEvent = 1 << 40

// history keeps the newest events. Each reader remembers its own place in it, so an idle reader
// costs nothing.
type history struct {
	replay  int // events that a late reader is shown
	before  int // number before that of the first event ever
	next    int // number of the next event
	events  []Event
	changed chan struct{} // closed at the next event; nil until a reader waits
}

func (h *history) add(e Event) {
	e.Number = h.next
	h.next++
	h.events = append(h.events, e)
	if keep := max(h.replay, liveEvents); len(h.events) >= 2*keep {
		h.events = append([]Event(nil), h.events[len(h.events)-keep:]...)
	}
	h.wake()
}

// wake tells the readers that the history has changed.
func (h *history) wake() {
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}

// After returns the events after number, how many of them were dropped already, and a channel that
// is closed when there are more.
func (p *Prediction) After(number int) (events []Event, lost int, more <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := &p.history
	number = max(number, h.before)
	first := h.next - len(h.events)
	if number+1 < first {
		lost = first - number - 1
		number = first - 1
	}
	if number+1 < h.next {
		events = h.events[number+1-first : len(h.events) : len(h.events)]
	}
	if h.changed == nil {
		h.changed = make(chan struct{})
	}
	return events, lost, h.changed
}

// LastEvent returns the number of the newest event, 0 if there is none.
func (p *Prediction) LastEvent() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.history.next - 1
}

// ReplayFrom returns the number after which a late reader begins, and how many events it is not
// shown. It is shown at most Limits.History past events. The terminal event is always shown.
func (p *Prediction) ReplayFrom() (number, skipped int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := &p.history
	shown := h.replay
	if p.status.Terminal() {
		shown = max(shown, 1)
	}
	number = max(h.before, h.next-1-shown)
	return number, number - h.before
}

// Attach registers a client that waits on a connection, for the stream or for the end. The returned
// function removes it again. It reports whether nobody needs the prediction any more: the
// prediction is not detached, and this was its last client.
func (p *Prediction) Attach() (detach func() (orphaned bool)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.readers++
	return func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.readers--
		p.orphaned = p.readers == 0 && !p.Request.Detached && !p.kept && !p.status.Terminal()
		return p.orphaned
	}
}

// Watched reports whether somebody waits on a connection.
func (p *Prediction) Watched() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.readers > 0
}

// Keep lets the prediction go on when its clients disconnect, because another client will ask for
// the result. It reports false if the last client has already left, so that the prediction is being
// canceled.
func (p *Prediction) Keep() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept = true
	return !p.orphaned || p.status.Terminal()
}
