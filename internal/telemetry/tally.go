package telemetry

import (
	"sync"
	"time"
)

// Tally bounds how many lines of one kind reach the log, however much happens: the first few of
// each period are written at once, and one line at its end counts the others.
type Tally struct {
	Most   int           // lines of a period
	Period time.Duration // begins with the first of them
	More   func(count int, over time.Duration)

	mu     sync.Mutex // guards the rest
	told   int        // lines of this period
	missed int
	since  time.Time
	end    *time.Timer // of the period; nil while there is none
	closed bool
}

// NewTally returns a Tally for failures of which each deserves a line: 100 in a minute.
func NewTally(more func(count int, over time.Duration)) *Tally {
	return &Tally{Most: 100, Period: time.Minute, More: more}
}

// Tell reports whether a line about one more event is to be written now.
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

// next ends a period. After one with more events than lines another begins at once, so that a storm
// gets a line for each period.
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

// Close counts what is left. No period begins any more.
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
