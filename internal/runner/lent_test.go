package runner_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/coggo/coggo/internal/runner"
)

// lend starts a process with a pipe for predictions, whose path it returns.
func lend(t *testing.T) (*runner.Lent, string, *output) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "python3")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nexec sleep 60"), 0o700); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(t.TempDir(), "logs")
	server := &output{}
	p, err := runner.Start(runner.Config{
		Python: path, ModelDir: t.TempDir(), Entry: runner.Entry{Predict: "x"}, Env: os.Environ(),
		Logs: func(string) (int, error) {
			_ = os.Remove(pipe)
			if err := unix.Mkfifo(pipe, 0o600); err != nil {
				return -1, err
			}
			return unix.Open(pipe, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		},
	}, server.sink)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill("")
		<-p.Done()
	})
	return p.Lent(), pipe, server
}

// writer opens the pipe as a run does when it begins.
func writer(t *testing.T, pipe string) *os.File {
	t.Helper()
	f, err := os.OpenFile(pipe, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func write(t *testing.T, f *os.File, text string) {
	t.Helper()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func begin(t *testing.T, l *runner.Lent) *output {
	t.Helper()
	o := &output{}
	if err := l.Begin(o.sink); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestAllOutputOfARunHasArrivedAtItsEnd(t *testing.T) {
	l, pipe, server := lend(t)
	for range 3 { // the same pipe, because nobody kept it open
		run := begin(t, l)
		f := writer(t, pipe)
		write(t, f, "mine\n")
		_ = f.Close()
		l.End()
		if got := string(run.all()); got != "mine\n" {
			t.Errorf("logs of the run: %q", got)
		}
	}
	if got := server.all(); len(got) > 0 {
		t.Errorf("the server's log: %q", got)
	}
}

func TestProcessesLeftByARunWriteIntoTheLogOfTheServer(t *testing.T) {
	l, pipe, server := lend(t)
	first := begin(t, l)
	left := writer(t, pipe)
	write(t, left, "in time\n")
	l.End()
	second := begin(t, l)
	f := writer(t, pipe)
	write(t, left, "late\n")
	write(t, f, "of the second\n")
	wait(t, "the late text", func() bool { return string(server.all()) == "late\n" })
	_ = f.Close()
	l.End()
	if a, b := string(first.all()), string(second.all()); a != "in time\n" || b != "of the second\n" {
		t.Errorf("logs %q and %q", a, b)
	}
}

func TestALongRunIsFollowed(t *testing.T) {
	l, pipe, _ := lend(t)
	run := begin(t, l)
	f := writer(t, pipe)
	l.Follow()
	write(t, f, "one\n")
	wait(t, "the first line", func() bool { return string(run.all()) == "one\n" })
	_ = f.Close() // a model may close its descriptors, and start a child that still has them
	f = writer(t, pipe)
	write(t, f, strings.Repeat("x", 3<<20)) // more than the pipe holds
	write(t, f, "\ntwo\n")
	_ = f.Close()
	l.End()
	if got := run.all(); len(got) != len("one\n")+3<<20+len("\ntwo\n") || !strings.HasSuffix(string(got), "\ntwo\n") {
		t.Errorf("%d bytes, in the end %q", len(got), got[max(0, len(got)-9):])
	}
}
