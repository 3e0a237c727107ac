package telemetry

import (
	"sync"
	"time"
)

// Tally bounds the log lines about one kind of event. It lets the first few of each period through,
// and one line at the end of the period counts the others.
type Tally struct {
	Most   int           // lines in a period
	Period time.Duration // it begins with the first line
	More   func(count int, over time.Duration)

	mu     sync.Mutex // guards the rest
	told   int        // lines so far in this period
	missed int
	since  time.Time
	end    *time.Timer // of the period; nil between periods
	closed bool
}

// NewTally returns a Tally for failures that each deserve a line: it lets 100 a minute through.
func NewTally(more func(count int, over time.Duration)) *Tally {
	return &Tally{Most: 100, Period: time.Minute, More: more}
}

// Tell reports whether to write a line about one more event now.
func (t *Tally) Tell() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.end == nil && !t.closed {
		t.beginLocked()
	}
	if t.told < t.Most {
		t.told++
		return true
	}
	t.missed++
	return false
}

func (t *Tally) beginLocked() {
	t.told, t.missed, t.since = 0, 0, time.Now()
	t.end = time.AfterFunc(t.Period, t.next)
}

// next ends a period. If it had more events than lines, another period begins at once, so that a
// storm gets a line in each period.
func (t *Tally) next() {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return
	}
	t.end = nil
	count, over := t.missed, time.Since(t.since)
	if count > 0 {
		t.beginLocked()
		t.told = t.Most
	}
	t.mu.Unlock()
	t.count(count, over)
}

func (t *Tally) count(count int, over time.Duration) {
	if count > 0 {
		t.More(count, over)
	}
}

// Close counts the rest. No period begins afterwards.
func (t *Tally) Close() {
	t.mu.Lock()
	if t.end != nil {
		t.end.Stop()
		t.end = nil
	}
	count, over := t.missed, time.Since(t.since)
	t.closed, t.missed = true, 0
	t.mu.Unlock()
	t.count(count, over)
}
