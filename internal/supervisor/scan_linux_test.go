package supervisor_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/coggo/coggo/internal/prediction"
)

// A file that is written under another name is not a change, so its prediction must not look for
// one.
func TestNewsOfOnePredictionLeaveTheOthersAlone(t *testing.T) {
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
