package supervisor_test

import (
	"bufio"
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coggo/coggo/internal/files"
	"github.com/coggo/coggo/internal/runner"
	"github.com/coggo/coggo/internal/supervisor"
	"github.com/coggo/coggo/internal/telemetry"
	"github.com/coggo/coggo/internal/webhook"
)

// longest is how long a test waits for anything: much longer than it takes.
const longest = 20 * time.Second

// until polls a condition that nothing announces.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	poll, late := time.NewTicker(time.Millisecond), time.After(longest)
	defer poll.Stop()
	for !holds() {
		select {
		case <-poll.C:
		case <-late:
			t.Fatal(what)
		}
	}
}

// configured is a supervisor's Config on a new directory.
func configured(t *testing.T) supervisor.Config {
	t.Helper()
	hooks, err := webhook.NewSender(webhook.Options{Client: http.DefaultClient})
	if err != nil {
		t.Fatal(err)
	}
	return supervisor.Config{
		Runner:  runner.Config{Entry: runner.Entry{Predict: "predict.py:Predictor"}, Env: os.Environ()},
		Runners: 1, WorkingDir: t.TempDir(), Renew: func() error { return nil }, Inputs: func() (string, error) { return t.TempDir(), nil },
		CancelGrace: 10 * time.Second, MaxQueue: 10, MaxFetching: 4,
		Retain: 10, RetainFor: time.Hour, RetainBytes: 1 << 20,
		Fetcher: &files.Fetcher{}, Publisher: &files.Publisher{}, Webhooks: hooks, Observer: telemetry.NewMetrics("test"),
		OnReady: func() {}, Output: func(supervisor.Origin, []byte) {}, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	}
}

// fake is a runner whose part the test plays. Its processes are the script in testdata.
type fake struct {
	t       *testing.T
	s       *supervisor.Supervisor
	spool   string
	started *os.File // named pipes
	exit    *os.File
	ready   chan struct{}
	log     *lines
}

// newFake prepares a supervisor of one fake runner; start starts it.
func newFake(t *testing.T, c supervisor.Config) *fake {
	t.Helper()
	at := t.TempDir()
	f := &fake{t: t, spool: c.WorkingDir, ready: make(chan struct{}, 16), log: &lines{}}
	f.started, f.exit = pipe(t, filepath.Join(at, "started")), pipe(t, filepath.Join(at, "exit"))
	script, err := filepath.Abs("testdata/runner")
	if err != nil {
		t.Fatal(err)
	}
	c.Runner.Python, c.Runner.ModelDir, c.Runner.Env = script, at, append(c.Runner.Env, "FAKE="+at)
	c.OnReady = func() { f.ready <- struct{}{} }
	c.Log = slog.New(slog.NewTextHandler(f.log, nil))
	if f.s, err = supervisor.New(c); err != nil {
		t.Fatal(err)
	}
	return f
}

// pipe makes a named pipe and opens both of its ends.
func pipe(t *testing.T, path string) *os.File {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// start starts the supervisor, and ends it with the test.
func (f *fake) start() {
	f.t.Helper()
	if err := f.s.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		now, cancel := context.WithDeadline(context.Background(), time.Now())
		defer cancel()
		f.s.Drain(now, now)
	})
}

// awaitProcess returns once one more process has started.
func (f *fake) awaitProcess() {
	f.t.Helper()
	f.started.SetReadDeadline(time.Now().Add(longest))
	if _, err := bufio.NewReaderSize(f.started, 16).ReadString('\n'); err != nil {
		f.t.Fatal("no process has started: ", err, "\n", f.log)
	}
}

// setUp lets the process that has started load a model.
func (f *fake) setUp() {
	f.t.Helper()
	f.write("openapi.json", document)
	f.write("setup-result.json", succeeded)
	f.ring(syscall.SIGUSR1)
	select {
	case <-f.ready:
	case <-time.After(longest):
		f.t.Fatal("the model is not ready\n", f.log)
	}
}

// exitWith ends the process.
func (f *fake) exitWith(status string) { f.exit.WriteString(status + "\n") }

// ring is a signal of the runner.
func (f *fake) ring(sig syscall.Signal) { f.s.Signals() <- sig }

// answer writes the response of a prediction, once the runner has its request.
func (f *fake) answer(id, response string) {
	f.t.Helper()
	f.awaitFile("request-" + id + ".json")
	f.write("response-"+id+".json", response)
	f.ring(syscall.SIGHUP)
}

func (f *fake) write(name, text string) {
	f.t.Helper()
	write(f.t, f.spool, name, text)
}

func (f *fake) awaitFile(name string) {
	f.t.Helper()
	until(f.t, name+" is missing", func() bool { return exists(filepath.Join(f.spool, name)) })
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// write writes a file by rename, as both halves do.
func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(dir, "half-written")
	if err := os.WriteFile(half, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(half, path); err != nil {
		t.Fatal(err)
	}
}

// lines is a log that tests can read.
type lines struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// What a runner writes, byte by byte.
const (
	document = `{"openapi": "3.0.2", "paths": {"/predictions": {"post": {}}}, "components": {"schemas": {
		"Input": {"title": "Input", "type": "object", "properties": {
			"n": {"title": "N", "type": "integer", "minimum": 0}, "file": {"title": "File", "type": "string", "format": "uri"}}}}}}`
	succeeded = `{"protocol": 1, "status": "succeeded", "started_at": "2026-01-02T03:04:05+00:00",
		"completed_at": "2026-01-02T03:04:06.5+00:00", "mode": "async", "max_concurrency": 2, "python": "3.12.1", "cog": "1.2.3"}`
)
