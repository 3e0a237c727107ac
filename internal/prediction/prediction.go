// Package prediction answers one question: how is it going? It holds the state machine of one
// prediction, the request that a client sent, the one JSON view of both, and the error codes of the
// domain. It does no I/O.
package prediction

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"
	"time"
)

// Status is the state of a prediction as clients see it.
type Status string

// The states, in the order in which a prediction can reach them.
const (
	Starting   Status = "starting"
	Processing Status = "processing"
	Succeeded  Status = "succeeded"
	Failed     Status = "failed"
	Canceled   Status = "canceled"
)

// Terminal reports whether nothing can follow s.
func (s Status) Terminal() bool { return s == Succeeded || s == Failed || s == Canceled }

// Limits bounds what one prediction keeps in memory.
type Limits struct {
	LogBytes int // of Snapshot.Logs; 0 means no limit
	History  int // events that a late subscriber is shown
}

// Result is how a prediction ended.
type Result struct {
	Status      Status
	Output      Value // without a text it keeps the list of items that were yielded
	Streamed    bool  // the output is the list of yielded items, also when there are none
	Error       string
	Metrics     json.RawMessage // an object; nil keeps what was recorded so far
	CompletedAt time.Time
}

// Prediction is one run, from acceptance to its end. All methods may be called from any goroutine.
type Prediction struct {
	Request Request

	limits Limits
	done   chan struct{}

	mu        sync.Mutex // guards everything below
	status    Status
	ending    *Result // how it ended, from Finish on
	startedAt time.Time
	logs      []byte
	logsCut   bool
	items     []Value
	itemBytes int // that they hold in memory
	recorded  []metric
	history   history
	readers   int
	kept      bool
	orphaned  bool // the last reader has left, which ends it
}

// New returns an accepted prediction that has not started.
func New(r Request, l Limits) *Prediction {
	p := &Prediction{Request: r, limits: l, status: Starting, done: make(chan struct{})}
	p.history = history{replay: l.History, next: 1}
	return p
}

// valueBytes is about the memory of a Value, without the data that it refers to.
const valueBytes = 48

// Restore returns a prediction that ended in an earlier life of the server.
func Restore(r Request, started time.Time, logs string, result Result) *Prediction {
	p := New(r, Limits{})
	p.history.before, p.history.next = restoredEvent-1, restoredEvent
	p.startedAt = started
	p.logs = []byte(logs)
	p.Finish(result)
	p.Announce()
	return p
}

// Done is closed when the prediction has reached a terminal state.
func (p *Prediction) Done() <-chan struct{} { return p.done }

// Start moves an accepted prediction to Processing.
func (p *Prediction) Start(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status != Starting {
		return
	}
	p.status = Processing
	p.startedAt = at
	p.history.add(Event{Kind: KindStart, name: p.Request.ID})
}

// Yield appends one item of an iterator's output.
func (p *Prediction) Yield(item Value) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ending != nil {
		return
	}
	p.history.add(Event{Kind: KindOutput, raw: item.Raw, inserts: item.Inserts, index: len(p.items)})
	p.items = append(p.items, item)
	p.itemBytes += item.held() + valueBytes
}

// Log appends text that the model wrote; source is "stdout" or "stderr". Past Limits.LogBytes one
// line says that the rest is missing, and nothing more is kept.
func (p *Prediction) Log(source string, text []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ending != nil || p.logsCut || len(text) == 0 {
		return
	}
	if limit := p.limits.LogBytes; limit > 0 && len(p.logs)+len(text) > limit {
		p.logsCut = true
		text = cutLog(text, limit-len(p.logs), limit)
	}
	at := len(p.logs)
	p.logs = append(p.logs, text...)
	p.history.add(Event{Kind: KindLog, name: source, raw: p.logs[at:len(p.logs):len(p.logs)]})
}

// Record notes a metric while the prediction runs. key is the top-level name and total its value so
// far.
func (p *Prediction) Record(m Metric) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ending != nil {
		return
	}
	p.history.add(Event{Kind: KindMetric, metric: &m})
	p.recorded = setMetric(p.recorded, m.Key, m.Total)
}

// Finish settles how the prediction ended. Only the first call counts, and it reports whether it
// was this one. It is not published yet, see Announce; Final shows it from now on.
func (p *Prediction) Finish(r Result) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ending != nil {
		return false
	}
	p.ending = &r
	if n := len(p.logs); n > 0 && p.logs[n-1] != '\n' {
		p.logs = append(p.logs, '\n')
	}
	return true
}

// Announce makes the end visible: to Snapshot, to those who wait for Done, and to the readers of
// the stream. It is apart from Finish so that the slot is free, and the end noted on disk, before
// any client can know of it. It is called once, after Finish.
func (p *Prediction) Announce() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = p.ending.Status
	p.history.add(Event{Kind: KindCompleted})
	close(p.done)
}

// Size is about the number of bytes that the prediction holds in memory.
func (p *Prediction) Size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	size := p.Request.size() + len(p.logs) + p.itemBytes + eventBytes*len(p.history.events)
	if p.ending != nil {
		size += p.ending.Output.held()
	}
	return size
}

// Snapshot is the state of this moment; an end shows once it was announced.
func (p *Prediction) Snapshot() Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status.Terminal() {
		return p.finalLocked()
	}
	return p.viewLocked()
}

// Accepted is the state in which it was accepted, whatever has become of it meanwhile.
func (p *Prediction) Accepted() Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Snapshot{ID: p.Request.ID, Status: Starting, Input: p.Request.Echo, CreatedAt: p.Request.CreatedAt, StartedAt: p.startedAt, More: p.Request.More}
}

// Partial is the state on the way, never a terminal one, however the prediction is going meanwhile.
// What a finished run has returned is in it.
func (p *Prediction) Partial() Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.viewLocked()
	if s.Status.Terminal() {
		s.Status = Processing
	}
	if p.ending != nil && p.ending.Output.Raw != nil {
		s.Output, s.Items = p.ending.Output, nil
	}
	return s
}

// Final is the terminal state, between Finish and Announce too.
func (p *Prediction) Final() Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.finalLocked()
}

func (p *Prediction) viewLocked() Snapshot {
	return Snapshot{
		ID:        p.Request.ID,
		Status:    p.status,
		Input:     p.Request.Echo,
		Items:     slices.Clip(p.items),
		Logs:      slices.Clip(p.logs),
		Metrics:   joinMetrics(p.recorded),
		CreatedAt: p.Request.CreatedAt,
		StartedAt: p.startedAt,
		More:      p.Request.More,
	}
}

func (p *Prediction) finalLocked() Snapshot {
	s := p.viewLocked()
	s.Status, s.Error, s.CompletedAt = p.ending.Status, p.ending.Error, p.ending.CompletedAt
	if p.ending.Output.Raw != nil {
		s.Output, s.Items = p.ending.Output, nil
	} else if len(s.Items) == 0 && p.ending.Streamed {
		s.Output.Raw = json.RawMessage("[]")
	}
	s.Metrics = p.ending.Metrics
	if s.Metrics == nil {
		s.Metrics = p.ownMetricsLocked()
	}
	return s
}

// Status is the state of this moment, without the cost of a Snapshot.
func (p *Prediction) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// ownMetricsLocked are the metrics of a run that has given none at its end.
func (p *Prediction) ownMetricsLocked() json.RawMessage {
	seconds := max(0, p.ending.CompletedAt.Sub(p.startedAt).Seconds())
	if p.startedAt.IsZero() {
		seconds = 0
	}
	return joinMetrics(setMetric(slices.Clone(p.recorded), "predict_time", appendSeconds(seconds)))
}

// mostUnended is how much of a line without its end is left out for the sake of whole lines. A
// longer one, such as a progress bar, may be all that there is.
const mostUnended = 4 << 10

// cutLog keeps what fits of text, up to the end of a line where that is near, and says that the
// rest is missing.
func cutLog(text []byte, room, limit int) []byte {
	text = text[:max(0, min(room, len(text)))]
	if i := bytes.LastIndexByte(text, '\n'); i >= 0 && len(text)-i <= mostUnended {
		text = text[:i+1]
	}
	return appendCutNotice(slices.Clone(text), limit)
}
