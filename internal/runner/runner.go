// Package runner starts one runner process, drains its output, and kills it with everything that it
// has started. It knows nothing about predictions.
package runner

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coggo/coggo/internal/runner/orphan"
)

// Config describes the process to start.
type Config struct {
	Entry

	Python     string   // interpreter, a path or a name on PATH
	PythonPath string   // directory with the cog package; "" if it is installed
	ModelDir   string   // current directory of the process
	SpoolDir   string   // the working directory, which server and runner share
	Checking   bool     // the author of the model wants warnings about it
	Env        []string // the whole environment of the process

	// BusyPoll is how long the runner polls for the next request before it sleeps, if requests come
	// that fast; 0: it does not poll.
	BusyPoll time.Duration

	// Mark is the mark of the directory for this server, see orphan.Own. If it is empty, the
	// process's children outlive it.
	Mark   orphan.Mark
	OnGone func() // called once, before Gone is closed; may be nil

	// Logs makes the pipe of Lent for a stream, in SpoolDir, and opens it for reading without
	// blocking. If it is nil, there is no Lent.
	Logs func(stream string) (fd int, err error)

	// Apart gives standard output and standard error a pipe each, so that the sink can tell them
	// apart. Otherwise one pipe for both keeps their order, and counts as standard output.
	Apart bool
}

// Entry names the parts of the model to load.
type Entry struct {
	Predict        string // FILE:NAME
	Named          string // "run" if a class that has predict and run is served by its run
	Train          string // FILE:NAME; "": next to Predict
	MaxConcurrency int    // 0: the model decides
	Packages       string // the packages of cog.yaml as JSON; "": none
}

// The names of the streams.
const (
	Stdout = "stdout"
	Stderr = "stderr"
)

// Sink receives what the process writes to its standard streams, in order, cut only between
// characters. It is called from one goroutine at a time for each stream.
type Sink func(stream string, text []byte)

// of returns the sink of one stream.
func (s Sink) of(stream string) func(text []byte) { return func(text []byte) { s(stream, text) } }

// streams returns the names of the streams that have a pipe.
func (c Config) streams() []string {
	if c.Apart {
		return []string{Stdout, Stderr}
	}
	return []string{Stdout}
}

// Process is one runner process. Any goroutine may call its methods.
type Process struct {
	cmd     *exec.Cmd
	streams []*stream
	lent    *Lent
	mark    orphan.Mark // of all its descendants
	gone    chan struct{}
	done    chan struct{}
	exit    Exit

	mu     sync.Mutex // guards the rest
	reaped bool       // its process id may belong to another process
	why    string     // the reason why we killed it; "" if we did not
}

// births counts the processes, so that each has its own mark.
var births atomic.Int64

// Start runs the process. It returns when the kernel has it; loading and setup come later, through
// the spool. The sink may be called while a sink given to Lent is.
func Start(c Config, sink Sink) (*Process, error) {
	p := &Process{cmd: command(c), gone: make(chan struct{}), done: make(chan struct{})}
	if c.Mark != "" {
		p.mark = c.Mark.Runner(births.Add(1))
		p.cmd.Env = slices.Concat(p.cmd.Env, []string{string(p.mark)})
	}
	var err error
	if c.Logs != nil {
		if p.lent, err = newLent(c.Logs, c.streams(), sink); err != nil {
			return nil, fmt.Errorf("start runner: %w", err)
		}
	}
	for _, name := range c.streams() {
		s, err := openStream(sink.of(name))
		if err != nil {
			p.closeStreams()
			return nil, fmt.Errorf("start runner: %w", err)
		}
		p.streams = append(p.streams, s)
		if name == Stdout {
			p.cmd.Stdout = s.write
		}
		p.cmd.Stderr = s.write
	}
	started := make(chan error)
	go p.live(c, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start runner: %w", err)
	}
	return p, nil
}

func command(c Config) *exec.Cmd {
	// Python before 3.14 ignores the option. There the runner makes its threads inherit the
	// context.
	args := slices.Concat([]string{"-X", "thread_inherit_context=1"}, Program("cog.internal.file_runner"),
		[]string{"--working-dir", c.SpoolDir, "--predict", c.Predict})
	if c.Named == "run" {
		args = append(args, "--named", c.Named)
	}
	if c.Train != "" {
		args = append(args, "--train", c.Train)
	}
	if c.MaxConcurrency > 0 {
		args = append(args, "--max-concurrency", strconv.Itoa(c.MaxConcurrency))
	}
	if c.BusyPoll > 0 {
		args = append(args, "--busy-poll", strconv.FormatFloat(c.BusyPoll.Seconds(), 'f', -1, 64))
	}
	if c.Checking {
		args = append(args, "--checking", "yes")
	}
	cmd := exec.Command(c.Python, args...)
	cmd.Dir = c.ModelDir
	env := Environment(c.Env, c.PythonPath, c.Packages)
	cmd.Env = slices.Concat(env, noBytecode(c.Env))
	// The runner has its own group: Ctrl-C in a terminal reaches the server alone, and the server
	// can kill the whole group.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
	return cmd
}

// Program returns the arguments of Python that run main of a module of ours in the directory of a
// model. Python looks for modules in the current directory first, so with -m it would import a file
// of the model, such as types.py or cog.py, before any of our code runs. Python 3.13 does so with
// -c too, see safePath.
func Program(module string) []string {
	return []string{"-c", "import sys; sys.path[:1] == [''] and sys.path.pop(0); " +
		"from " + module + " import main; sys.exit(main(sys.argv[1:]))"}
}

// noBytecode keeps Python from writing __pycache__ into the model's directory, unless it has
// another place for it.
func noBytecode(env []string) []string {
	elsewhere := func(entry string) bool { return strings.HasPrefix(entry, "PYTHONPYCACHEPREFIX=") }
	if slices.ContainsFunc(env, elsewhere) {
		return nil
	}
	return []string{"PYTHONDONTWRITEBYTECODE=1"}
}

// safePath keeps Python 3.11 and later from looking for modules in the current directory. Our code
// takes it out of the environment again, so that programs of the model do not inherit it.
const safePath = "PYTHONSAFEPATH=coggo"

// Environment returns env with what a Program needs: the directory of our package, "" if Python
// finds it by itself, and the packages of cog.yaml, "" if it has none.
func Environment(env []string, pythonPath, packages string) []string {
	env = slices.Clone(withPythonPath(env, pythonPath))
	if packages != "" {
		env = append(env, "COGGO_PACKAGES="+packages)
	}
	name, _, _ := strings.Cut(safePath, "=")
	if !slices.ContainsFunc(env, func(entry string) bool { return strings.HasPrefix(entry, name+"=") }) {
		env = append(env, safePath)
	}
	return env
}

// withPythonPath returns env with dir in front of PYTHONPATH; an empty dir changes nothing.
func withPythonPath(env []string, dir string) []string {
	if dir == "" {
		return env
	}
	const name = "PYTHONPATH="
	out := make([]string, 0, len(env)+1)
	value := dir
	for _, entry := range env {
		old, found := strings.CutPrefix(entry, name)
		switch {
		case !found:
			out = append(out, entry)
		case old != "":
			value += string(filepath.ListSeparator) + old
		}
	}
	return append(out, name+value)
}

// live starts the process and returns when it and its descendants have exited. It keeps one OS
// thread for all that time, because the kernel counts the exit of the thread that started a child
// as the death of its parent (prctl(2), PR_SET_PDEATHSIG).
func (p *Process) live(c Config, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := start(p.cmd, p.mark)
	for _, s := range p.streams {
		s.closeWrite()
	}
	if err != nil {
		p.closeStreams()
		started <- err
		return
	}
	for _, s := range p.streams {
		s.pump()
	}
	defer blockSignals()() // not earlier: the child would inherit the mask
	started <- nil
	go reapOrphansUntil(p.done)
	guard := guarded(c.Mark)
	guard.Watch(p.mark)
	awaitExit(p.cmd)
	p.kill()  // the processes that the runner left in its group
	p.reap()  // not earlier: a zombie keeps its id, which is the group's, from being reused
	p.Drain() // the output before its exit
	if c.OnGone != nil {
		c.OnGone()
	}
	close(p.gone)
	orphan.Sweep(p.mark)
	reapOrphans()
	guard.Forget(p.mark)
	p.Drain() // the output of its descendants
	p.closeStreams()
	close(p.done)
}

func (p *Process) closeStreams() {
	for _, s := range p.streams {
		s.close()
	}
	if p.lent != nil {
		p.lent.close()
	}
}

// PID returns the process id, which is also the id of its group.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Gone returns a channel that is closed when the process has exited and the Sink has all its
// output. Its descendants may still run.
func (p *Process) Gone() <-chan struct{} { return p.gone }

// Done returns a channel that is closed when all descendants of the process have exited too.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit returns how the process ended. It is valid once Gone is closed.
func (p *Process) Exit() Exit { return p.exit }

// Drain gives the Sink everything that the process has written so far.
func (p *Process) Drain() {
	for _, s := range p.streams {
		s.drain()
	}
}

// Lent returns the pipe for predictions that run alone, nil without Config.Logs.
func (p *Process) Lent() *Lent { return p.lent }

// Ring rings the doorbell of a cancel file, see docs/protocol.md.
func (p *Process) Ring() error { return p.cmd.Process.Signal(syscall.SIGUSR1) }

// Kill kills the whole process group. Exit gives the reason of the first call.
func (p *Process) Kill(why string) {
	p.mu.Lock()
	p.why = cmp.Or(p.why, why)
	p.mu.Unlock()
	p.kill()
}

func (p *Process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = syscall.Kill(-p.PID(), syscall.SIGKILL)
	}
}

// reap waits for the process, which has exited: the kernel may then reuse its id.
func (p *Process) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.cmd.Wait() // ProcessState has the result
	p.reaped = true
	if p.exit = exitOf(p.cmd.ProcessState); p.exit.Signal == syscall.SIGKILL {
		p.exit.Why = p.why
	}
	forget(p.PID())
}

// Exit describes how a process ended.
type Exit struct {
	Code   int
	Signal syscall.Signal // 0: it exited by itself
	Why    string         // why the server killed it; "" if it did not
}

func exitOf(s *os.ProcessState) Exit {
	if s == nil {
		return Exit{Code: -1}
	}
	if ws, ok := s.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return Exit{Code: -1, Signal: ws.Signal()}
	}
	return Exit{Code: s.ExitCode()}
}

// String returns a phrase for people: "exit status 3", "signal 9 (killed, out of memory?)". It
// guesses at memory only if the server did not kill the process itself.
func (e Exit) String() string {
	switch {
	case e.Why != "":
		return "signal 9 (killed by the server: " + e.Why + ")"
	case e.Signal == syscall.SIGKILL:
		return "signal 9 (killed, out of memory?)"
	case e.Signal != 0:
		return fmt.Sprintf("signal %d (%s)", int(e.Signal), e.Signal)
	default:
		return fmt.Sprintf("exit status %d", e.Code)
	}
}
