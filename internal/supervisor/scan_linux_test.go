package supervisor_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/supervisor"
)

// A file that is written under another name is not a change, so its prediction must not look for
// one.
func TestChangesOfOnePredictionLeaveTheOthersAlone(t *testing.T) {
	const item = `{"type": "output", "chunk": "a", "files": []}` + "\n"
	f := served(t, nil)
	x, y := create(t, f.s, `{"id": "x"}`), create(t, f.s, `{"id": "y"}`)
	f.awaitFile("request-x.json")
	f.awaitFile("request-y.json")
	has := func(p *prediction.Prediction, want int) {
		t.Helper()
		until(t, "items are missing", func() bool { return len(p.Snapshot().Items) == want })
	}
	f.write("events-x.jsonl", item)
	f.write("events-y.jsonl", item)
	f.ring(syscall.SIGHUP)
	has(x, 1)
	has(y, 1)
	aside := filepath.Join(t.TempDir(), "y")
	if err := os.Link(filepath.Join(f.spool, "events-y.jsonl"), aside); err != nil {
		t.Fatal(err)
	}
	const more = 50
	for n := range more {
		appendTo(t, aside, item)
		appendTo(t, filepath.Join(f.spool, "events-x.jsonl"), item)
		f.ring(syscall.SIGHUP)
		has(x, n+2)
	}
	has(y, 1)
	appendTo(t, filepath.Join(f.spool, "events-y.jsonl"), item)
	f.ring(syscall.SIGHUP)
	has(y, more+2)
}

// A model may remove what it has written in the place of the response of an abandoned prediction:
// by the time at which the server looks, there is nothing.
func TestAResponseThatIsGoneEndsNoAbandonedPrediction(t *testing.T) {
	const item = `{"type": "output", "chunk": "a", "files": []}` + "\n"
	f := served(t, func(c *supervisor.Config) { c.CancelGrace = time.Millisecond })
	x, y := create(t, f.s, `{"id": "x"}`), create(t, f.s, `{"id": "y"}`)
	f.awaitFile("request-x.json")
	f.awaitFile("request-y.json")
	if err := f.s.Cancel(x, supervisor.ByClient); err != nil {
		t.Fatal(err)
	}
	ended(t, x)
	f.write("events-y.jsonl", "")
	items := 0
	look := func() { // returns once the server has looked at the directory
		t.Helper()
		for range 2 {
			items++
			appendTo(t, filepath.Join(f.spool, "events-y.jsonl"), item)
			f.ring(syscall.SIGHUP)
			until(t, "items are missing", func() bool { return len(y.Snapshot().Items) == items })
		}
	}
	look()
	f.write("response-x.json", responseCanceled)
	if err := os.Remove(filepath.Join(f.spool, "response-x.json")); err != nil {
		t.Fatal(err)
	}
	look()
	if h := f.s.Health(t.Context()); h.Current != 2 {
		t.Errorf("its slot is free while the runner still runs it: %+v", h)
	}
	f.write("response-x.json", responseCanceled)
	f.ring(syscall.SIGHUP)
	until(t, "its slot is not free", func() bool { return f.s.Health(t.Context()).Current == 1 })
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		_, err = file.WriteString(text)
	}
	if err == nil {
		err = file.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}
