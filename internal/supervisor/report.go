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

// The log lines about predictions and runners at the default level. docs/operating.md has
// each line with its keys.

// mostError bounds the error of a line, and mostNamed the predictions or webhooks that are named
// one by one.
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
// client is what it wanted, and has no error.
func (s *Supervisor) reportEnd(f *flight, snap prediction.Snapshot, seconds float64) {
	if snap.Error != "" && snap.Status != prediction.Succeeded && s.failures.Tell() {
		s.config.Log.Warn(f.prediction.Request.Method.Noun()+" failed", "id", snap.ID, "status", snap.Status,
			"seconds", math.Round(seconds*1000)/1000, "error", shorten(snap.Error))
	}
	if s.config.Log.Enabled(context.Background(), slog.LevelDebug) {
		s.config.Log.Debug("prediction ended", "id", snap.ID, "status", snap.Status, "seconds", seconds, "error", snap.Error)
	}
}

// shorten bounds the text of an error, which is the model's own and can be of any length.
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

// lost notes that a prediction has failed because its process died.
func (w *worker) lost(f *flight) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.died = append(w.died, f.ID())
}

// reportGone says that a process has ended, by what, and which predictions failed with it. Those
// have ended before.
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

// named are the first of these ids, in order.
func named(ids []string) []string {
	slices.Sort(ids)
	return ids[:min(len(ids), mostNamed)]
}

// whyReplaced says why a process is killed that has nothing to do but predictions that ignored
// their cancel.
func whyReplaced(ids []string, grace time.Duration) string {
	return fmt.Sprintf("it went on with %s for %s after the cancel", strings.Join(named(ids), ", "), grace)
}

// reportUndelivered names the webhooks that the next server on the directory owes.
func (s *Supervisor) reportUndelivered(left []webhook.Undelivered) {
	slices.SortFunc(left, func(a, b webhook.Undelivered) int { return cmp.Compare(a.ID, b.ID) })
	for _, l := range left[:min(len(left), mostNamed)] {
		s.config.Log.Warn("webhook left undelivered", "id", l.ID, "host", l.Host, "attempts", l.Attempts)
	}
	if more := len(left) - mostNamed; more > 0 {
		s.config.Log.Warn("more webhooks left undelivered", "count", more)
	}
}
