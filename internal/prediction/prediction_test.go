package prediction_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/coggo/coggo/internal/prediction"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newPrediction(l prediction.Limits) *prediction.Prediction {
	return prediction.New(prediction.Request{ID: "abc", MaskedInput: json.RawMessage(`{"n":1}`), CreatedAt: "2026-01-02T03:04:05Z"}, l)
}

func snapshot(t *testing.T, p *prediction.Prediction) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(p.Snapshot().AppendJSON(nil), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestOnlyTheFirstFinishCounts(t *testing.T) {
	p := newPrediction(prediction.Limits{})
	p.Start(t0)
	if !p.Finish(prediction.Result{Status: prediction.Succeeded, Output: prediction.Value{Raw: json.RawMessage(`1`)}, CompletedAt: t0.Add(time.Second)}) {
		t.Fatal("first Finish did not count")
	}
	if p.Finish(prediction.Result{Status: prediction.Failed, Error: "late"}) {
		t.Fatal("second Finish counted")
	}
	p.Publish()
	p.Yield(prediction.Value{Raw: json.RawMessage(`"late"`)})
	p.Log("stdout", []byte("late"))
	got := snapshot(t, p)
	if got["status"] != "succeeded" || got["output"] != 1.0 || got["error"] != nil || got["logs"] != "" {
		t.Errorf("a late event changed the end: %v", got)
	}
	select {
	case <-p.Done():
	default:
		t.Error("Done is open after Publish")
	}
}

func TestTheEndIsInvisibleBeforePublish(t *testing.T) {
	p := newPrediction(prediction.Limits{})
	p.Finish(prediction.Result{Status: prediction.Canceled, CompletedAt: t0})
	select {
	case <-p.Done():
		t.Error("Done is closed before Publish")
	default:
	}
	if events, _, _ := p.After(0); len(events) != 0 {
		t.Errorf("events before Publish: %v", events)
	}
	if p.Snapshot().Status.Terminal() || p.Status().Terminal() || !p.Final().Status.Terminal() {
		t.Error("the end is visible before Publish")
	}
}

func TestYieldedItemsAreTheOutputAndSurviveAFailure(t *testing.T) {
	p := newPrediction(prediction.Limits{})
	p.Start(t0)
	p.Yield(prediction.Value{Raw: json.RawMessage(`"a"`)})
	p.Yield(prediction.Value{Raw: json.RawMessage(`{"z":1,"a":1180591620717411303424}`)})
	p.Finish(prediction.Result{Status: prediction.Failed, Error: "", CompletedAt: t0.Add(1500 * time.Millisecond)})
	p.Publish()
	s := p.Snapshot()
	if got := string(s.AppendOutput(nil)); got != `["a",{"z":1,"a":1180591620717411303424}]` {
		t.Errorf("output = %s", got)
	}
	got := snapshot(t, p)
	if got["error"] != "" {
		t.Errorf("a failure with an empty message has error %v, want \"\"", got["error"])
	}
	if got["metrics"].(map[string]any)["predict_time"] != 1.5 {
		t.Errorf("metrics = %v", got["metrics"])
	}
}

func TestAnIteratorWithoutItemsHasAnEmptyList(t *testing.T) {
	p := newPrediction(prediction.Limits{})
	p.Start(t0)
	p.Finish(prediction.Result{Status: prediction.Succeeded, Streamed: true, CompletedAt: t0})
	p.Publish()
	if got := string(p.Snapshot().AppendOutput(nil)); got != "[]" {
		t.Errorf("output = %s, want []", got)
	}
}

func TestLogsAreTerminatedValidAndBounded(t *testing.T) {
	p := newPrediction(prediction.Limits{LogBytes: 10})
	p.Start(t0)
	p.Log("stdout", []byte("one\n\xff"))
	p.Log("stderr", []byte("\ntwo\nthree\n"))
	p.Log("stdout", []byte("never\n"))
	p.Finish(prediction.Result{Status: prediction.Succeeded, CompletedAt: t0})
	p.Publish()
	got := snapshot(t, p)["logs"].(string)
	if !strings.HasPrefix(got, "one\n\uFFFD\ntwo\n[logs cut") || strings.Contains(got, "never") || !strings.HasSuffix(got, "\n") {
		t.Errorf("logs = %q", got)
	}
}

func TestARunningPredictionShowsItsMetrics(t *testing.T) {
	p := newPrediction(prediction.Limits{})
	p.Start(t0)
	p.Record(prediction.Metric{Name: "a", Key: "a", Total: json.RawMessage(`1`)})
	p.Record(prediction.Metric{Name: "t.x", Key: "t", Total: json.RawMessage(`{"x":2}`)})
	p.Record(prediction.Metric{Name: "a", Key: "a", Total: nil})
	if got := string(p.Snapshot().Metrics); got != `{"t":{"x":2}}` {
		t.Errorf("metrics = %s", got)
	}
}

func TestReadersSeeEveryEventOnceAndALateOneTheNewest(t *testing.T) {
	p := newPrediction(prediction.Limits{History: 2})
	p.Start(t0)
	events, lost, more := p.After(0)
	if len(events) != 1 || lost != 0 || events[0].Kind != prediction.KindStart {
		t.Fatalf("events = %v, lost = %d", events, lost)
	}
	p.Yield(prediction.Value{Raw: json.RawMessage(`1`)})
	select {
	case <-more:
	default:
		t.Fatal("the reader was not woken")
	}
	p.Yield(prediction.Value{Raw: json.RawMessage(`2`)})
	p.Yield(prediction.Value{Raw: json.RawMessage(`3`)})
	events, _, _ = p.After(events[0].Number)
	var data strings.Builder
	if len(events) != 3 || events[2].WriteData(&data) != nil || data.String() != `{"chunk":3,"index":2}` {
		t.Fatalf("events = %v", events)
	}
	from, skipped := p.ReplayFrom()
	if from != 2 || skipped != 2 {
		t.Errorf("ReplayFrom = %d, %d, want 2, 2", from, skipped)
	}
	p.Finish(prediction.Result{Status: prediction.Succeeded, CompletedAt: t0})
	p.Publish()
	from, _ = p.ReplayFrom()
	if events, _, _ := p.After(from); events[len(events)-1].Kind != prediction.KindCompleted {
		t.Error("a late reader does not see the end")
	}
}

func TestAReaderThatFallsBehindLearnsHowManyEventsItLost(t *testing.T) {
	p := newPrediction(prediction.Limits{})
	for range 200000 {
		p.Yield(prediction.Value{Raw: json.RawMessage(`1`)})
	}
	events, lost, _ := p.After(0)
	if lost == 0 || lost+len(events) != 200000 || events[0].Number != lost+1 {
		t.Errorf("lost %d, got %d from number %d", lost, len(events), events[0].Number)
	}
}

func TestTheEndOfARestoredPredictionComesAfterAnyEventID(t *testing.T) {
	p := prediction.Restore(prediction.Request{ID: "x"}, t0, "", prediction.Result{Status: prediction.Succeeded, CompletedAt: t0})
	from, skipped := p.ReplayFrom()
	for _, number := range []int{0, 1, 57, from} {
		events, lost, _ := p.After(number)
		if len(events) != 1 || events[0].Kind != prediction.KindCompleted || lost+skipped != 0 {
			t.Errorf("after %d: %v, lost %d, skipped %d", number, events, lost, skipped)
		}
	}
}

func TestTheLastReaderThatLeavesOrphansAPredictionUnlessDetachedOrKept(t *testing.T) {
	for _, row := range []struct{ detached, kept bool }{{false, false}, {true, false}, {false, true}} {
		p := prediction.New(prediction.Request{ID: "x", Detached: row.detached}, prediction.Limits{})
		first, second := p.Attach(), p.Attach()
		if first() {
			t.Error("orphaned while a reader is left")
		}
		if row.kept && !p.Keep() {
			t.Error("not kept while a reader is left")
		}
		orphaned := !row.detached && !row.kept
		if got := second(); got != orphaned {
			t.Errorf("%+v: orphaned = %v", row, got)
		}
		if got := p.Keep(); got == orphaned {
			t.Errorf("%+v: kept = %v after all have left", row, got)
		}
	}
}

func TestTheSizeCountsEverythingThatARequestCanMakeLarge(t *testing.T) {
	large := strings.Repeat("x", 1<<20)
	input := json.RawMessage(`"` + large + `"`)
	for name, r := range map[string]prediction.Request{
		"input":              {Input: input, MaskedInput: input},
		"a secret input":     {Input: input, MaskedInput: json.RawMessage(`"**********"`)},
		"context":            {Context: map[string]string{"a": large}},
		"a name in context":  {Context: map[string]string{large: ""}},
		"webhook":            {Webhook: "http://h/" + large},
		"output_file_prefix": {OutputPrefix: "http://h/" + large},
		"created_at":         {CreatedAt: large},
	} {
		if n := prediction.New(r, prediction.Limits{}).Size(); n < 1<<20 || n > 1<<20+1024 {
			t.Errorf("%s: %d bytes", name, n)
		}
	}
}
