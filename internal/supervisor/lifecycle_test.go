package supervisor_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coggo/coggo/internal/pool"
	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/supervisor"
)

// served is a fake runner whose model is set up.
func served(t *testing.T, change func(*supervisor.Config)) *fake {
	t.Helper()
	c := configured(t)
	if change != nil {
		change(&c)
	}
	f := newFake(t, c)
	f.start()
	f.awaitProcess()
	f.setUp()
	return f
}

func TestAResponseIsTheEndOfItsPrediction(t *testing.T) {
	for _, test := range []struct {
		name           string
		input          string
		maxOutput      int64
		events, answer string
		want           end
	}{
		{name: "succeeded", answer: responseX, want: end{Status: "succeeded", Output: `"done"`}},
		{name: "streamed", events: eventsX, answer: responseStreamed, want: end{Status: "succeeded", Output: `["a"]`, Logs: "step 1\n"}},
		{
			name: "failed", answer: `{"id": "x", "status": "failed", "error": "no", "traceback": "Traceback: no\n", "completed_at": "2026-01-02T03:04:06+00:00"}`,
			want: end{Status: "failed", Error: "no", Logs: "Traceback: no\n"},
		},
		{
			name: "canceled by the model itself", answer: `{"id": "x", "status": "canceled", "completed_at": "2026-01-02T03:04:06+00:00"}`,
			want: end{Status: "canceled"},
		},
		{
			name: "a member of the input that the model does not know", input: `{"n": 1, "sead": 2}`, answer: responseX,
			want: end{Status: "succeeded", Output: `"done"`, Logs: "ignored unknown input: sead\n"},
		},
		{
			name: "a large output", maxOutput: 5, answer: responseX,
			want: end{Status: "failed", Error: "the output is larger than 5 bytes, see --max-output; return large ones as files"},
		},
		{
			name: "a large output that is streamed", maxOutput: 130, events: eventsX, answer: `{"id": "x", "status": "canceled", "streamed": true, "completed_at": "2026-01-02T03:04:06+00:00"}`,
			want: end{Status: "failed", Logs: "step 1\n", Error: "the output is larger than 130 bytes, see --max-output; return large ones as files"},
		},
		{
			name: "an event that is not JSON is left out", events: "{\n" + eventsX, answer: responseStreamed,
			want: end{Status: "succeeded", Output: `["a"]`, Logs: "step 1\n"},
		},
		{
			name: "not JSON", answer: `{"id": "x",`,
			want: end{Status: "failed", Error: "the model's response could not be read: read response-x.json: unexpected end of JSON input"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := served(t, func(c *supervisor.Config) { c.MaxOutput = test.maxOutput })
			if test.input == "" {
				test.input = "{}"
			}
			p := create(t, f.s, `{"id": "x", "input": `+test.input+`}`)
			f.awaitFile("request-x.json")
			if test.events != "" {
				f.write("events-x.jsonl", test.events)
			}
			f.answer("x", test.answer)
			ended(t, p)
			if got := seen(t, f.s, "x"); got != test.want {
				t.Errorf("it ended as %+v, not %+v", got, test.want)
			}
			if names := left(t, f.spool); names != nil {
				t.Errorf("%v are left", names)
			}
		})
	}
}

const responseCanceled = `{"id": "x", "status": "canceled", "completed_at": "2026-01-02T03:04:06+00:00"}`

// reason is the reason in the cancel file of x.
func (f *fake) reason() string {
	f.t.Helper()
	f.awaitFile("cancel-x.json")
	text, err := os.ReadFile(filepath.Join(f.spool, "cancel-x.json"))
	if err != nil {
		f.t.Fatal(err)
	}
	var cancel struct{ ID, Reason string }
	if err := json.Unmarshal(text, &cancel); err != nil || cancel.ID != "x" {
		f.t.Fatalf("%s: %v", text, err)
	}
	return cancel.Reason
}

func TestACancelReachesTheRunner(t *testing.T) {
	f := served(t, nil)
	p := create(t, f.s, `{"id": "x"}`)
	f.awaitFile("request-x.json")
	if err := f.s.Cancel(p, supervisor.ByClient); err != nil {
		t.Fatal(err)
	}
	if got := f.reason(); got != "client" {
		t.Errorf("the runner is told %q", got)
	}
	f.answer("x", responseCanceled)
	ended(t, p)
	if got := seen(t, f.s, "x"); got != (end{Status: "canceled"}) {
		t.Errorf("it ended as %+v", got)
	}
	if err := f.s.Cancel(p, supervisor.ByClient); err != nil {
		t.Errorf("to cancel it once more: %v", err)
	}
}

func TestADeadlineCancels(t *testing.T) {
	f := served(t, func(c *supervisor.Config) { c.PredictTimeout = 300 * time.Millisecond })
	p := create(t, f.s, `{"id": "x"}`)
	if got := f.reason(); got != "deadline" {
		t.Errorf("the runner is told %q", got)
	}
	f.answer("x", responseCanceled)
	ended(t, p)
	if got := seen(t, f.s, "x"); got != (end{Status: "canceled", Error: "canceled at its deadline of 300ms"}) {
		t.Errorf("it ended as %+v", got)
	}
}

func TestTheEndOfTheServerCancels(t *testing.T) {
	f := served(t, nil)
	p := create(t, f.s, `{"id": "x"}`)
	f.awaitFile("request-x.json")
	over, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		f.s.Drain(over, t.Context())
	}()
	if got := f.reason(); got != "shutdown" {
		t.Errorf("the runner is told %q", got)
	}
	f.answer("x", responseCanceled)
	ended(t, p)
	if got := seen(t, f.s, "x"); got != (end{Status: "failed", Error: "the server shut down before the prediction ended"}) {
		t.Errorf("it ended as %+v", got)
	}
	f.awaitFile("stop")
	f.exitWith("0")
	<-drained
	if _, _, err := f.s.Create(prediction.Request{Method: prediction.Predict}, false); code(err) != prediction.Draining {
		t.Errorf("a prediction after the end: %v", err)
	}
}

func TestARunnerThatIgnoresACancelIsReplaced(t *testing.T) {
	f := served(t, func(c *supervisor.Config) { c.CancelGrace = time.Millisecond })
	p := create(t, f.s, `{"id": "x"}`)
	f.awaitFile("request-x.json")
	if err := f.s.Cancel(p, supervisor.ByClient); err != nil {
		t.Fatal(err)
	}
	if status := ended(t, p); status != prediction.Canceled {
		t.Error(status)
	}
	f.awaitProcess() // MaxRestarts is 0: this does not count as a death
	f.setUp()
	if !strings.Contains(f.log.String(), "it went on with x for 1ms after the cancel") {
		t.Error(f.log)
	}
}

// The other one may finish first: only then the process is killed.
func TestARunnerThatIgnoresACancelKeepsItsOtherPrediction(t *testing.T) {
	f := served(t, func(c *supervisor.Config) { c.CancelGrace = time.Millisecond })
	x, y := create(t, f.s, `{"id": "x"}`), create(t, f.s, `{"id": "y"}`)
	f.awaitFile("request-x.json")
	f.awaitFile("request-y.json")
	if err := f.s.Cancel(x, supervisor.ByClient); err != nil {
		t.Fatal(err)
	}
	if status := ended(t, x); status != prediction.Canceled {
		t.Error(status)
	}
	if h := f.s.Health(t.Context()); h.Status != pool.Busy || h.Current != 2 {
		t.Errorf("its slot is free while the runner still runs it: %+v", h)
	}
	if names := left(t, f.spool); !slices.Equal(names, []string{"request-y.json"}) || !exists(filepath.Join(f.spool, "cancel-x.json")) {
		t.Errorf("the runner has still to see the cancel, and no later server the request: %v", names)
	}
	f.answer("y", strings.ReplaceAll(responseX, `"x"`, `"y"`))
	if status := ended(t, y); status != prediction.Succeeded {
		t.Error(status)
	}
	f.awaitProcess()
	f.setUp()
}

// An abandoned prediction that ends after all gives its slot back, and the process lives.
func TestARunnerThatObeysACancelLateIsKept(t *testing.T) {
	f := served(t, func(c *supervisor.Config) { c.CancelGrace = time.Millisecond })
	x := create(t, f.s, `{"id": "x"}`)
	create(t, f.s, `{"id": "y"}`)
	f.awaitFile("request-x.json")
	f.awaitFile("request-y.json")
	if err := f.s.Cancel(x, supervisor.ByClient); err != nil {
		t.Fatal(err)
	}
	ended(t, x)
	f.write("response-x.json", responseCanceled)
	f.ring(syscall.SIGHUP)
	until(t, "its slot is not free", func() bool { return f.s.Health(t.Context()).Current == 1 })
	until(t, "its files are left", func() bool { return slices.Equal(left(t, f.spool), []string{"request-y.json"}) })
}

func TestLostSignalsLoseNothing(t *testing.T) {
	f := served(t, nil)
	x, y := create(t, f.s, `{"id": "x"}`), create(t, f.s, `{"id": "y"}`)
	f.awaitFile("request-x.json")
	f.awaitFile("request-y.json")
	f.write("events-y.jsonl", eventsX)
	until(t, "the output is missing", func() bool { return len(y.Snapshot().Items) == 1 })
	f.write("events-x.jsonl", eventsX)
	f.write("response-x.json", responseStreamed)
	f.write("response-y.json", strings.ReplaceAll(responseStreamed, `"x"`, `"y"`))
	for _, p := range []*prediction.Prediction{x, y} {
		if status := ended(t, p); status != prediction.Succeeded {
			t.Error(status)
		}
		if n := len(p.Snapshot().Items); n != 1 {
			t.Errorf("%d items", n)
		}
	}
}

func TestWaitingPredictionsRunInOrder(t *testing.T) {
	f := served(t, func(c *supervisor.Config) { c.MaxQueue = 2 })
	for _, id := range []string{"x", "y", "1", "2"} {
		create(t, f.s, `{"id": "`+id+`"}`)
	}
	if _, _, err := f.s.Create(prediction.Request{Method: prediction.Predict}, false); code(err) != prediction.QueueFull {
		t.Errorf("one more: %v", err)
	}
	first, err := f.s.Get("1")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.s.Cancel(first, supervisor.ByClient); err != nil {
		t.Fatal(err)
	}
	if status := ended(t, first); status != prediction.Canceled {
		t.Error(status)
	}
	f.answer("x", responseX)
	f.awaitFile("request-2.json")
	if exists(filepath.Join(f.spool, "request-1.json")) {
		t.Error("the runner got the one that was canceled while it waited")
	}
}

func TestAWaitingPredictionIsInTheJournalBeforeItIsAccepted(t *testing.T) {
	f := served(t, func(c *supervisor.Config) { c.Durable = true })
	for _, id := range []string{"x", "y", "z"} {
		r, err := prediction.ParseRequest([]byte(`{"id": "` + id + `"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Detached = true
		if _, _, err := f.s.Create(r, false); err != nil {
			t.Fatal(err)
		}
		file := "request-" + id + ".json"
		if id == "z" {
			file = "queued/z.json"
		}
		if !exists(filepath.Join(f.spool, file)) {
			t.Errorf("%s is missing", file)
		}
	}
}

func TestAnIdempotentRequestJoinsTheRunOfItsID(t *testing.T) {
	f := served(t, nil)
	r, err := prediction.ParseRequest([]byte(`{"id": "x", "input": {"n": 1}}`))
	if err != nil {
		t.Fatal(err)
	}
	first, created, err := f.s.Create(r, true)
	if err != nil || !created {
		t.Fatal(created, err)
	}
	other := r
	other.Input = []byte(`{"n": 2}`)
	for name, again := range map[string]prediction.Request{"the same again": r, "another input while it runs": other} {
		if p, created, err := f.s.Create(again, true); p != first || created || err != nil {
			t.Errorf("%s: %v, %v", name, created, err)
		}
	}
	f.answer("x", responseX)
	ended(t, first)
	r.Input = []byte(`{ "n":1}`)
	if p, created, err := f.s.Create(r, true); p != first || created || err != nil {
		t.Errorf("the same after the end: %v, %v", created, err)
	}
	if p, created, err := f.s.Create(other, true); p == first || !created || err != nil {
		t.Errorf("another input after the end: %v, %v", created, err)
	}
}

func TestAPredictionOfAClientThatLeavesIsCanceled(t *testing.T) {
	f := served(t, nil)
	client, leave := context.WithCancel(t.Context())
	r, err := prediction.ParseRequest([]byte(`{"id": "x"}`))
	if err != nil {
		t.Fatal(err)
	}
	performed := make(chan *prediction.Prediction, 1)
	go func() {
		p, _, _ := f.s.Perform(func() context.Context { return client }, r, false)
		performed <- p
	}()
	f.awaitFile("request-x.json")
	leave()
	if got := f.reason(); got != "disconnect" {
		t.Errorf("the runner is told %q", got)
	}
	f.answer("x", responseCanceled)
	if p := <-performed; p.Status() != prediction.Canceled {
		t.Error(p.Status())
	}
}

func TestAModelThatRemovesTheDirectoryIsStartedAgain(t *testing.T) {
	f := served(t, func(c *supervisor.Config) { c.MaxRestarts = 1 })
	if err := os.RemoveAll(f.spool); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(f.spool, 0o700); err != nil { // without its parts
		t.Fatal(err)
	}
	p := create(t, f.s, `{"id": "x"}`)
	ended(t, p)
	if got := seen(t, f.s, "x"); got.Status != "failed" || !strings.HasPrefix(got.Error, "the working directory is gone") {
		t.Errorf("it ended as %+v", got)
	}
	f.awaitProcess()
	f.setUp()
}

func code(err error) prediction.Code {
	var refused *prediction.Error
	errors.As(err, &refused)
	if refused == nil {
		return ""
	}
	return refused.Code
}
