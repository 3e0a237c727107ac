package supervisor

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/runner"
	"github.com/coggo/coggo/internal/telemetry"
	"github.com/coggo/coggo/internal/webhook"
)

// The log lines about predictions and runners at the default level. docs/operating.md has each line
// with its keys.

// mostError bounds the error in a line. mostNamed is how many predictions or webhooks are named one
// by one.
const (
	mostError = 500
	mostNamed = 20
)

func (s *Supervisor) newFailures() *telemetry.Tally {
	return telemetry.NewTally(func(count int, over time.Duration) {
		s.config.Log.Warn("more predictions failed", "count", count, "period", over)
	})
}

// reportEnd writes a line about a prediction that did not end as its client wanted. A cancel by the
// client is wanted, and has no error.
func (s *Supervisor) reportEnd(f *flight, snap prediction.Snapshot, seconds float64) {
	if snap.Error != "" && snap.Status != prediction.Succeeded && s.failures.Tell() {
		s.config.Log.Warn(f.prediction.Request.Method.Noun()+" failed",
			"id", snap.ID, "status", snap.Status,
			"seconds", math.Round(seconds*1000)/1000, "error", shorten(snap.Error))
	}
	if s.config.Log.Enabled(context.Background(), slog.LevelDebug) {
		s.config.Log.Debug("prediction ended",
			"id", snap.ID, "status", snap.Status, "seconds", seconds, "error", snap.Error)
	}
}

// shorten bounds the text of an error, because a model's error can have any length.
func shorten(text string) string {
	if len(text) <= mostError {
		return text
	}
	cut := mostError
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

// lost records that a prediction has failed because its process died.
func (w *worker) lost(f *flight) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.died = append(w.died, f.ID())
}

// reportGone logs the exit of a process, with its reason and the predictions that failed with it.
// Those have finished before.
func (w *worker) reportGone(p *runner.Process) {
	w.s.mu.Lock()
	died := w.died
	w.s.mu.Unlock()
	keys := []any{"runner", w.index, "pid", p.PID(), "exit", p.Exit().String(), "failed", len(died)}
	if len(died) > 0 {
		keys = append(keys, "predictions", named(died))
	}
	w.s.config.Log.Warn("runner ended", keys...)
}

// named returns the first of these ids, in order.
func named(ids []string) []string {
	slices.Sort(ids)
	return ids[:min(len(ids), mostNamed)]
}

// whyReplaced returns why a process is killed that only runs predictions that ignored their cancel.
func whyReplaced(ids []string, grace time.Duration) string {
	return fmt.Sprintf("it went on with %s for %s after the cancel",
		strings.Join(named(ids), ", "), grace)
}

// reportUnfinished logs how many predictions the shutdown did not wait for.
func (s *Supervisor) reportUnfinished() {
	left := int(s.left.Load())
	if left > 0 {
		s.config.Log.Warn("predictions left to the next server", "count", left)
	}
	hanging := -left
	s.mu.Lock()
	for range s.pool.Live() {
		hanging++
	}
	s.mu.Unlock()
	if hanging > 0 {
		s.config.Log.Error("predictions have not finished in time: "+
			"a killed model process hangs in the kernel, or the disk is slow", "count", hanging)
	}
}

// reportUndelivered names the webhooks that are left to the next server on the directory.
func (s *Supervisor) reportUndelivered(left []webhook.Undelivered) {
	slices.SortFunc(left, func(a, b webhook.Undelivered) int { return cmp.Compare(a.ID, b.ID) })
	for _, l := range left[:min(len(left), mostNamed)] {
		s.config.Log.Warn("webhook left undelivered",
			"id", l.ID, "host", l.Host, "attempts", l.Attempts)
	}
	if more := len(left) - mostNamed; more > 0 {
		s.config.Log.Warn("more webhooks left undelivered", "count", more)
	}
}
