package prediction

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/coggo/coggo/internal/jsonscan"
)

// turnEvents is how many numbers the events of one turn have: those of a later turn are larger,
// however many the earlier one had.
const turnEvents = 1 << 32

// beforeTurn is the number before that of the first event of a turn. The turns of a run count from
// 1; outside of a queue there is one.
func beforeTurn(turn int) int { return max(0, turn-1) * turnEvents }

// Past is what a prediction has done so far, for a process that takes over its readers.
type Past struct {
	Snapshot         // without a terminal status until Finish
	Events   []Event // the newest ones, without that of the end
	First    int     // number of the first of them, or of the next one
	Before   int     // number before that of the first event ever
}

// Past returns what the prediction has done so far.
func (p *Prediction) Past() Past {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := &p.history
	past := Past{Snapshot: p.viewLocked(), First: h.next - len(h.events), Before: h.before}
	if p.ending != nil {
		past.Snapshot = p.finalLocked()
	}
	past.Events = h.events
	if n := len(past.Events); n > 0 && past.Events[n-1].Kind == KindCompleted {
		past.Events = past.Events[:n-1]
	}
	past.Events = slices.Clip(past.Events)
	return past
}

// Plain reports whether all events of the past are known from the rest: there is none but the
// start.
func (p Past) Plain(turn int) bool {
	begun := 0
	if !p.StartedAt.IsZero() {
		begun = 1
	}
	return p.Before == beforeTurn(turn) && p.First == p.Before+1 && len(p.Events) == begun &&
		(begun == 0 || p.Events[0].Kind == KindStart)
}

// Dropped is the part of a past whose events were dropped.
type Dropped struct {
	First   int             // number of the first event that was kept
	Before  int             // number before that of the first event ever
	Items   int             // yielded before
	Joined  Value           // these items, with commas between them
	Logs    []byte          // written before
	LogRoom int             // length of all logs
	Started time.Time       // zero if it has not started, or if its start was kept
	Metrics json.RawMessage // an object; of the end if that is known; may be nil
}

// Skip begins a new prediction in the middle, for the events that follow.
func (p *Prediction) Skip(d Dropped) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.history.before, p.history.next = d.Before, d.First
	if d.Items > 0 {
		p.items, p.folded = []Value{d.Joined}, d.Items-1
		p.itemBytes = d.Joined.held() + valueBytes
	}
	p.logs = append(make([]byte, 0, max(len(d.Logs), d.LogRoom)), d.Logs...)
	if !d.Started.IsZero() {
		p.status, p.startedAt = Processing, d.Started
	}
	p.recorded = readMetrics(d.Metrics)
}

// ShowLogs makes text the logs: put together, events whose text is not UTF-8 would be shown
// otherwise.
func (p *Prediction) ShowLogs(text []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.logs = text
}

func readMetrics(object json.RawMessage) (list []metric) {
	scan := jsonscan.Scanner{Text: object, MaxDepth: maxEntryDepth}
	scan.Space()
	if scan.Peek() != '{' {
		return nil
	}
	_ = scan.Object(func(m jsonscan.Member) { // a snapshot, which was read before
		key := jsonscan.Unquote(object[m.Key.Start:m.Key.End])
		list = setMetric(list, key, object[m.Value.Start:m.Value.End:m.Value.End])
	})
	return list
}

// Adopt takes over what another process knows of the prediction, in place of what is known here.
// Readers go on behind the last event that they have seen. other is of no use afterwards.
func (p *Prediction) Adopt(other *Prediction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ending != nil {
		return
	}
	if p.status == Starting {
		p.status, p.startedAt = other.status, other.startedAt
	}
	p.logs, p.logsCut, p.recorded = other.logs, other.logsCut, other.recorded
	p.items, p.folded, p.itemBytes = other.items, other.folded, other.itemBytes
	if other.history.next < p.history.next {
		return // readers have seen more: numbers never fall
	}
	p.history.wake()
	replay := p.history.replay
	p.history = other.history
	p.history.replay = replay
}

// Reset forgets what an earlier turn has done, because the run starts again. Events of the turn
// have larger numbers than those before. It does nothing for the present turn, or an earlier one.
func (p *Prediction) Reset(turn int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := beforeTurn(turn)
	if p.ending != nil || before <= p.history.before {
		return
	}
	p.history.wake()
	p.history = history{replay: p.history.replay, before: before, next: before + 1}
	p.status, p.startedAt = Starting, time.Time{}
	p.logs, p.logsCut, p.recorded = nil, false, nil
	p.items, p.folded, p.itemBytes = nil, 0, 0
}
