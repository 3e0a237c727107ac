package queue

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/coggo/coggo/internal/jsonscan"
	"github.com/coggo/coggo/internal/prediction"
)

// What a run does on its way goes through the broker only while somebody follows it, and is not
// stored there: the worker has its history, and sends it again to those who come late or have
// missed a message. What is left at the end is in the end itself.

const (
	headerFollow   = "Coggo-Follow"   // to a worker, or of a request: send the events after this number, and those to come
	headerFirst    = "Coggo-First"    // of events: the number of the first one
	headerStreamed = "Coggo-Streamed" // of an end: the output is the list of what was yielded
)

// event is one event of a run on the wire.
type event struct {
	Kind   prediction.Kind `json:"kind"`
	Chunk  json.RawMessage `json:"chunk,omitempty"`  // of output
	Source string          `json:"source,omitempty"` // of log
	Text   []byte          `json:"text,omitempty"`   // of log, in base64: it need not be UTF-8
	Metric *metric         `json:"metric,omitempty"`
}

// metric is prediction.Metric on the wire.
type metric struct {
	prediction.Metric
	Key   string          `json:"key"`
	Total json.RawMessage `json:"total,omitempty"`
}

func eventOf(e prediction.Event) event {
	out := event{Kind: e.Kind}
	switch e.Kind {
	case prediction.KindOutput:
		out.Chunk = e.Chunk().Append(nil)
	case prediction.KindLog:
		out.Source, out.Text = e.Source(), e.Text()
	case prediction.KindMetric:
		m := e.Metric()
		out.Metric = &metric{m, m.Key, m.Total}
	default: // the kind says it all
	}
	return out
}

// size is about the length of the event on the wire.
func (e event) size() int { return len(e.Chunk) + len(e.Text)*4/3 + 64 }

// apply adds the event to a prediction.
func (e event) apply(p *prediction.Prediction, now time.Time) {
	switch e.Kind {
	case prediction.KindStart:
		p.Start(now)
	case prediction.KindOutput:
		p.Yield(prediction.Value{Raw: e.Chunk})
	case prediction.KindLog:
		p.Log(e.Source, e.Text)
	case prediction.KindMetric:
		if e.Metric != nil {
			m := e.Metric.Metric
			m.Key, m.Total = e.Metric.Key, e.Metric.Total
			p.Record(m)
		}
	default: // of the end, which comes as a state
	}
}

// follow sends the events of a job after a number, and from now on all others.
func (w *Worker) follow(j *job, after int) {
	j.mu.Lock()
	if j.sent == nil {
		j.sent = make(chan struct{})
	}
	run, late := j.run, j.sending
	w.sendLocked(j)
	j.mu.Unlock()
	if late { // somebody comes late, or has missed a message
		w.sendAfter(j, run, after)
	}
}

// sendLocked begins to send the events of a job once it runs, if somebody follows it.
func (w *Worker) sendLocked(j *job) {
	if j.run != nil && j.sent != nil && !j.sending {
		j.sending = true
		go w.send(j, j.run, j.sent)
	}
}

// send sends the events of a run as they come, until it has ended.
func (w *Worker) send(j *job, run *prediction.Prediction, sent chan struct{}) {
	defer close(sent)
	for number := 0; ; {
		next, more, ok := w.sendAfter(j, run, number)
		if !ok {
			return
		}
		number = next
		select {
		case <-more:
		case <-w.q.ctx.Done():
			return
		}
	}
}

// sendAfter sends the events after a number. ok is false if none can follow: the run has ended, or
// an event is too large or is no longer known. Those who follow learn the rest at the end.
func (w *Worker) sendAfter(j *job, run *prediction.Prediction, number int) (next int, more <-chan struct{}, ok bool) {
	events, lost, more := run.After(number)
	var batch []event
	size := 0
	flush := func() {
		if len(batch) > 0 {
			w.publishEvents(j, run, number-len(batch)+1, batch)
		}
		batch, size = nil, 0
	}
	defer flush()
	if lost > 0 {
		return number, more, false
	}
	for _, e := range events {
		if e.Kind == prediction.KindCompleted {
			return number, more, false
		}
		if e.Kind == prediction.KindOutput && !w.q.broker.fits(e.Chunk().Len()) { // a file is not even read
			return number, more, false
		}
		wired := eventOf(e)
		if !w.q.broker.fits(wired.size()) {
			return number, more, false
		}
		if !w.q.broker.fits(size + wired.size()) {
			flush()
		}
		batch, size, number = append(batch, wired), size+wired.size(), e.Number
	}
	return number, more, true
}

func (w *Worker) publishEvents(j *job, run *prediction.Prediction, first int, batch []event) {
	data, err := json.Marshal(batch)
	if err != nil {
		return // a chunk is JSON already
	}
	m := nats.NewMsg(j.stored())
	m.Data = data
	m.Header.Set(headerRun, j.asked.run)
	m.Header.Set(headerAttempt, strconv.Itoa(run.Request.Lease.Attempt))
	m.Header.Set(headerFirst, strconv.Itoa(first))
	_ = w.q.broker.nc.PublishMsg(m) // who misses it asks again, or learns it at the end
}

// want asks the worker for the events of the run, now and after each claim.
func (m *mirror) want() {
	m.mu.Lock()
	known := m.wanted
	m.wanted = true
	m.mu.Unlock()
	if !known {
		m.ask()
	}
}

// ask asks the worker for the events that are not known yet.
func (m *mirror) ask() {
	// If the message is lost, the end has what is missing.
	_ = m.q.broker.nc.PublishMsg(m.place.tell(m.run, headerFollow, strconv.Itoa(m.prediction.LastEvent())))
}

// eventsSoon bounds how long a reader waits for the events of a run that nobody has followed yet.
const eventsSoon = 200 * time.Millisecond

// seen returns once the events so far are known, or after eventsSoon.
func (m *mirror) seen() {
	if m.prediction.Status().Terminal() {
		return
	}
	m.want()
	if m.prediction.Status() != prediction.Processing {
		return
	}
	late := time.NewTimer(eventsSoon)
	defer late.Stop()
	select {
	case <-m.fed:
	case <-m.prediction.Done():
	case <-late.C:
	}
}

// hearEvents takes events of the run.
func (m *mirror) hearEvents(msg *nats.Msg) {
	first, err := strconv.Atoi(msg.Header.Get(headerFirst))
	attempt, bad := strconv.Atoi(msg.Header.Get(headerAttempt))
	var events []event
	if err != nil || bad != nil || msg.Header.Get(headerRun) != m.run || json.Unmarshal(msg.Data, &events) != nil {
		return
	}
	m.mu.Lock()
	if m.attempt == 0 {
		m.attempt = attempt
	}
	other := m.attempt != attempt // what it does anew does not follow what the readers have seen
	m.mu.Unlock()
	if other {
		return
	}
	last := m.prediction.LastEvent()
	if first > last+1 {
		m.ask()
		return
	}
	for i, e := range events {
		if first+i > last {
			e.apply(m.prediction, m.q.config.Now())
		}
	}
	m.once.Do(func() { close(m.fed) })
}

// yieldRest adds the items of an output that did not come as events. It reports whether the output
// is now the list of what was yielded.
func (m *mirror) yieldRest(output prediction.Value) bool {
	items, ok := itemsOf(output)
	known := len(m.prediction.Snapshot().Items)
	if !ok || known > len(items) {
		return false
	}
	for _, item := range items[known:] {
		m.prediction.Yield(item)
	}
	return true
}

// itemsOf returns the items of a list. It reports false if the list itself is on disk, and not only
// files in it.
func itemsOf(list prediction.Value) (items []prediction.Value, ok bool) {
	text := make([]byte, 0, len(list.Raw)+len(list.Inserts))
	from := 0
	for _, in := range list.Inserts {
		text = append(append(text, list.Raw[from:in.At]...), '0') // any value in the place of the file
		from = in.At
	}
	text = append(text, list.Raw[from:]...)
	scan := jsonscan.Scanner{Text: text, MaxDepth: outputDepth}
	scan.Space()
	if scan.Peek() != '[' {
		return nil, false
	}
	before := 0 // files of the items so far
	err := scan.Array(func(at jsonscan.Span) {
		start := at.Start - before // in Raw
		var inserts []prediction.Insert
		for ; before < len(list.Inserts) && list.Inserts[before].At+before < at.End; before++ {
			in := list.Inserts[before]
			inserts = append(inserts, prediction.Insert{At: in.At - start, Text: in.Text})
		}
		end := at.End - before
		items = append(items, prediction.Value{Raw: list.Raw[start:end:end], Inserts: inserts})
	})
	return items, err == nil
}

// outputDepth is as deep as an output can be nested, and more.
const outputDepth = 100_000
