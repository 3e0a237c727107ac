// Package prediction is the domain: the state machine of one prediction, the request that a client
// sent, the one JSON view of both, and the error codes. It does no I/O.
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

// Terminal reports whether s is final.
func (s Status) Terminal() bool { return s == Succeeded || s == Failed || s == Canceled }

// Limits bounds the memory of one prediction.
type Limits struct {
	LogBytes int // of Snapshot.Logs; 0: no limit
	History  int // events that a late reader is shown
}

// Result is the end of a prediction.
type Result struct {
	Status      Status
	Output      Value // if Raw is nil, the yielded items stay the output
	Streamed    bool  // the output is the list of yielded items, even if it is empty
	Error       string
	Metrics     json.RawMessage // an object; nil keeps the recorded metrics
	StartedAt   time.Time       // zero keeps what Start was told
	CompletedAt time.Time
}

// Prediction is one run, from acceptance to its end. Any goroutine may call its methods.
type Prediction struct {
	Request Request

	limits Limits
	done   chan struct{}

	mu        sync.Mutex // guards everything below
	status    Status
	worker    string
	ending    *Result // set by Finish
	startedAt time.Time
	logs      []byte
	logsCut   bool
	items     []Value
	folded    int // items that the first one stands for besides itself, see Skip
	itemBytes int // their memory
	recorded  []metric
	history   history
	readers   int
	kept      bool
	orphaned  bool // the last reader has left, so the prediction is canceled
}

// New returns an accepted prediction that has not started.
func New(r Request, l Limits) *Prediction {
	p := &Prediction{Request: r, limits: l, status: Starting, done: make(chan struct{})}
	p.history = history{replay: l.History, next: 1}
	if r.Lease != nil {
		p.history.before = beforeTurn(r.Lease.Turn)
		p.history.next = p.history.before + 1
	}
	return p
}

// valueBytes is the approximate memory of a Value, without the data that it refers to.
const valueBytes = 48

// Restore returns a prediction that an earlier server finished.
func Restore(r Request, started time.Time, logs string, result Result) *Prediction {
	p := New(r, Limits{})
	p.history.before, p.history.next = restoredEvent-1, restoredEvent
	p.startedAt = started
	p.logs = []byte(logs)
	p.Finish(result)
	p.Publish()
	return p
}

// Done returns a channel that is closed when the prediction has a terminal status.
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

// RunBy says which of several servers runs the prediction; empty if none does.
func (p *Prediction) RunBy(worker string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.worker = worker
}

// Yield appends one item to an iterator's output.
func (p *Prediction) Yield(item Value) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ending != nil {
		return
	}
	p.history.add(Event{
		Kind: KindOutput, raw: item.Raw, inserts: item.Inserts, index: len(p.items) + p.folded,
	})
	p.items = append(p.items, item)
	p.itemBytes += item.held() + valueBytes
}

// Log appends text that the model wrote; source is "stdout" or "stderr". Once Limits.LogBytes are
// kept, it appends one line that says so, and drops the rest.
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

// Record records a metric while the prediction runs.
func (p *Prediction) Record(m Metric) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ending != nil {
		return
	}
	p.history.add(Event{Kind: KindMetric, metric: &m})
	p.recorded = setMetric(p.recorded, m.Key, m.Total)
}

// Finish decides how the prediction ended, and reports whether this call did: only the first one
// counts. Final shows the end from now on; everything else shows it after Publish.
func (p *Prediction) Finish(r Result) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ending != nil {
		return false
	}
	p.ending = &r
	if !r.StartedAt.IsZero() {
		p.startedAt = r.StartedAt
	}
	if n := len(p.logs); n > 0 && p.logs[n-1] != '\n' {
		p.logs = append(p.logs, '\n')
	}
	return true
}

// Publish makes the end visible to Snapshot, to those who wait for Done, and to the readers of the
// stream. Call it once, after Finish. The two are apart because the slot must be free, and the end
// on disk, before any client can know of it.
func (p *Prediction) Publish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = p.ending.Status
	p.history.add(Event{Kind: KindCompleted})
	close(p.done)
}

// Size returns the approximate number of bytes that the prediction holds in memory.
func (p *Prediction) Size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	size := p.Request.size() + len(p.logs) + p.itemBytes + eventBytes*len(p.history.events)
	if p.ending != nil {
		size += p.ending.Output.held()
	}
	return size
}

// Snapshot returns the current state. It shows the end only after Publish.
func (p *Prediction) Snapshot() Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status.Terminal() {
		return p.finalLocked()
	}
	return p.viewLocked()
}

// Accepted returns the state in which the prediction was accepted, even if it has changed since.
func (p *Prediction) Accepted() Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.Request
	return Snapshot{
		ID: r.ID, Status: Starting, Input: r.MaskedInput,
		CreatedAt: r.CreatedAt, StartedAt: p.startedAt, Extra: r.Extra,
	}
}

// Partial returns the current state with a status that is never terminal. It has the output of a
// run that has finished already.
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

// Final returns the terminal state, even between Finish and Publish.
func (p *Prediction) Final() Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.finalLocked()
}

func (p *Prediction) viewLocked() Snapshot {
	return Snapshot{
		ID:        p.Request.ID,
		Status:    p.status,
		Input:     p.Request.MaskedInput,
		Items:     slices.Clip(p.items),
		Logs:      slices.Clip(p.logs),
		Metrics:   joinMetrics(p.recorded),
		CreatedAt: p.Request.CreatedAt,
		StartedAt: p.startedAt,
		Extra:     p.Request.Extra,
		Worker:    p.worker,
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

// Status returns the current status, without the cost of a Snapshot.
func (p *Prediction) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// ownMetricsLocked returns the metrics of a run whose Result has none.
func (p *Prediction) ownMetricsLocked() json.RawMessage {
	seconds := max(0, p.ending.CompletedAt.Sub(p.startedAt).Seconds())
	if p.startedAt.IsZero() {
		seconds = 0
	}
	return joinMetrics(setMetric(slices.Clone(p.recorded), "predict_time", appendSeconds(seconds)))
}

// mostUnended is the longest unfinished line that is dropped to keep lines whole. A longer one,
// such as a progress bar, may be the whole log.
const mostUnended = 4 << 10

// cutLog keeps as much of text as fits. It cuts at the end of a line if one is near, and appends a
// notice.
func cutLog(text []byte, room, limit int) []byte {
	text = text[:max(0, min(room, len(text)))]
	if i := bytes.LastIndexByte(text, '\n'); i >= 0 && len(text)-i <= mostUnended {
		text = text[:i+1]
	}
	return appendCutNotice(slices.Clone(text), limit)
}
