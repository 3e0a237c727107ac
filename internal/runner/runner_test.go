package runner_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/coggo/coggo/internal/runner"
	"github.com/coggo/coggo/internal/runner/orphan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// output collects what a process writes.
type output struct {
	mu   sync.Mutex
	text []byte
}

func (o *output) sink(_ string, text []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, text...)
}

func (o *output) all() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Clone(o.text)
}

// start runs a shell script in the place of the interpreter.
func start(t *testing.T, script string) (*runner.Process, *output) {
	t.Helper()
	o := &output{}
	return startInto(t, script, o.sink), o
}

func startInto(t *testing.T, script string, sink runner.Sink) *runner.Process {
	t.Helper()
	path := filepath.Join(t.TempDir(), "python3")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	spool := t.TempDir()
	c := runner.Config{
		Python: path, ModelDir: t.TempDir(), SpoolDir: spool, Entry: runner.Entry{Predict: "predict.py:Predictor"}, Env: os.Environ(), Mark: orphan.Own(spool),
	}
	p, err := runner.Start(c, sink)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill("")
		<-p.Done()
	})
	return p
}

func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatal("timed out: " + what)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestEverythingWrittenArrivesBeforeDone(t *testing.T) {
	p, o := start(t, `echo out; echo err >&2; printf 'no newline'; exit 3`)
	<-p.Done()
	if got := string(o.all()); got != "out\nerr\nno newline" {
		t.Errorf("output = %q", got)
	}
	if e := p.Exit(); e.Code != 3 || e.String() != "exit status 3" {
		t.Errorf("exit = %v", e)
	}
}

func TestAHugeLineIsPassedOnWhole(t *testing.T) {
	p, o := start(t, `head -c 3000000 /dev/zero | tr '\0' x; echo end`)
	<-p.Done()
	if got := o.all(); len(got) != 3000004 || !bytes.HasSuffix(got, []byte("xend\n")) {
		t.Errorf("got %d bytes", len(got))
	}
}

func TestCharactersAreNotCutApart(t *testing.T) {
	var o output
	var bad sync.Once
	p, err := func() (*runner.Process, error) {
		path := filepath.Join(t.TempDir(), "python3")
		script := "#!/bin/sh\ni=0; while [ $i -lt 50 ]; do printf '\\303'; printf '\\251'; i=$((i+1)); done; printf '\\377end\\303'"
		if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
			return nil, err
		}
		return runner.Start(runner.Config{Python: path, ModelDir: t.TempDir(), Entry: runner.Entry{Predict: "x"}}, func(_ string, text []byte) {
			if text[0] == 0xa9 {
				bad.Do(func() { t.Error("a chunk begins in the middle of a character") })
			}
			o.sink("", text)
		})
	}()
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if got := string(o.all()); got != strings.Repeat("é", 50)+"\xffend\xc3" {
		t.Errorf("got %q", got)
	}
}

func TestDrainReturnsWhatWasWrittenBefore(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "written")
	p, o := start(t, `echo before; : > `+marker+`; sleep 60`)
	wait(t, "the script writes", func() bool { _, err := os.Stat(marker); return err == nil })
	p.Drain()
	if got := string(o.all()); got != "before\n" {
		t.Errorf("after Drain: %q", got)
	}
}

func TestNothingOutlivesTheProcess(t *testing.T) {
	for name, script := range map[string]string{
		"child":                     `sleep 60 & echo $!`,
		"session of its own":        `setsid sleep 60 & echo $!`,
		"orphan":                    `(setsid sleep 60 & echo $!)`,
		"orphan without a mark":     `(env -i setsid sleep 60 & echo $!)`,
		"child that closed streams": `sleep 60 >&- 2>&- <&- & echo $!`,
	} {
		t.Run(name, func(t *testing.T) {
			p, o := start(t, script)
			<-p.Done()
			child, err := strconv.Atoi(strings.TrimSpace(string(o.all())))
			if err != nil {
				t.Fatal(err)
			}
			if !gone(child) {
				t.Error("it runs on")
			}
		})
	}
}

// gone reports whether pid has ended; a zombie that nobody has reaped yet counts as ended.
func gone(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestTheExitNamesTheSignal(t *testing.T) {
	for signal, want := range map[syscall.Signal]string{
		syscall.SIGKILL: "signal 9 (killed, out of memory?)",
		syscall.SIGSEGV: "signal 11 (segmentation fault)",
	} {
		p, _ := start(t, `kill -`+strconv.Itoa(int(signal))+` $$; sleep 60`)
		<-p.Done()
		if got := p.Exit().String(); got != want {
			t.Errorf("exit = %q, want %q", got, want)
		}
	}
}

func TestTheExitNamesTheReasonForWhichTheServerKilled(t *testing.T) {
	p, _ := start(t, "sleep 60")
	p.Kill("it hangs")
	p.Kill("the server ends")
	<-p.Done()
	if got := p.Exit().String(); got != "signal 9 (killed by the server: it hangs)" {
		t.Errorf("exit = %q", got)
	}
}

func TestTheProcessHasItsOwnGroupAndArguments(t *testing.T) {
	p, o := start(t, `echo "$@"; cat /proc/$$/stat | cut -d' ' -f5; echo "$PYTHONPATH"`)
	<-p.Done()
	lines := strings.Split(string(o.all()), "\n")
	if !strings.HasPrefix(lines[0], "-X thread_inherit_context=1 -c import sys; ") || !strings.Contains(lines[0], " cog.internal.file_runner import main; sys.exit(main(sys.argv[1:])) --working-dir ") || !strings.HasSuffix(lines[0], "--predict predict.py:Predictor") {
		t.Errorf("arguments: %q", lines[0])
	}
	if lines[1] != strconv.Itoa(p.PID()) {
		t.Errorf("group %q, pid %d", lines[1], p.PID())
	}
}

func TestThePythonPathIsPutFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "python3")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho \"$PYTHONPATH\""), 0o700); err != nil {
		t.Fatal(err)
	}
	var o output
	p, err := runner.Start(runner.Config{Python: path, ModelDir: t.TempDir(), PythonPath: "/a", Env: []string{"PYTHONPATH=/b", "PATH=/usr/bin:/bin"}}, o.sink)
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if got := string(o.all()); got != "/a:/b\n" {
		t.Errorf("PYTHONPATH = %q", got)
	}
}

func TestAMissingInterpreterIsAnError(t *testing.T) {
	_, err := runner.Start(runner.Config{Python: "/nonexistent/python3", ModelDir: t.TempDir()}, func(string, []byte) {})
	if err == nil || !strings.Contains(err.Error(), "/nonexistent/python3") {
		t.Errorf("err = %v", err)
	}
}

func TestDrainEndsAlthoughTheProcessPrintsFasterThanItIsRead(t *testing.T) {
	heard := make(chan struct{}, 1)
	p := startInto(t, "exec yes", func(string, []byte) {
		time.Sleep(time.Millisecond)
		select {
		case heard <- struct{}{}:
		default:
		}
	})
	<-heard
	drained := make(chan struct{})
	go func() {
		p.Drain()
		close(drained)
	}()
	select {
	case <-drained:
	case <-time.After(20 * time.Second):
		t.Error("Drain did not return")
	}
}
