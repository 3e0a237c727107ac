package orphan

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// The guard is a small process that outlives this one if it is killed, and then kills the
// descendants of its runners. The kernel kills the runners themselves, but not their children. The
// guard is this binary under another name. It is not our child, because its starter exits at once.
const (
	guardName   = "coggo-guard"
	starterName = "coggo-guard-starter"
)

// Guard is the server's end of the pipe over which the guard learns which runners there are.
type Guard struct{ pipe *os.File }

// StartGuard starts the guard of the server with mark m, which stands in its command line. run
// starts a command and waits for it.
func StartGuard(m Mark, run func(*exec.Cmd) error) (*Guard, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start the guard: %w", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start the guard: %w", err)
	}
	defer r.Close()
	args := []string{starterName, string(m)}
	starter := &exec.Cmd{Path: self, Args: args, Env: []string{}, Dir: "/", Stdin: r}
	if err := run(starter); err != nil {
		_ = w.Close()
		return nil, fmt.Errorf("start the guard: %w", err)
	}
	return &Guard{w}, nil
}

// Watch adds a runner: the guard kills it and all its descendants after this process.
func (g *Guard) Watch(m Mark) { g.say("+", m) }

// Forget removes a runner that has no descendants left.
func (g *Guard) Forget(m Mark) { g.say("-", m) }

func (g *Guard) say(what string, m Mark) {
	if g != nil {
		_, _ = fmt.Fprintf(g.pipe, "%s%s\n", what, m) // an error: somebody has killed the guard
	}
}

// init makes a process the guard before Go initializes the packages that import this one.
func init() {
	if len(os.Args) != 2 {
		return
	}
	switch os.Args[0] {
	case starterName:
		os.Exit(spawnGuard())
	case guardName:
		guard()
		os.Exit(0)
	}
}

func spawnGuard() int {
	self, err := os.Executable()
	if err != nil {
		return 1
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return 1
	}
	_, err = os.StartProcess(self, []string{guardName, os.Args[1]}, &os.ProcAttr{
		Dir: "/", Env: []string{}, Files: []*os.File{os.Stdin, null, null},
		Sys: &syscall.SysProcAttr{Setsid: true}, // a kill of the server's group must not reach it
	})
	if err != nil {
		return 1
	}
	return 0
}

// guard reads the marks of runners until the server exits, which closes the pipe.
func guard() {
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM)
	var marks []Mark
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if m, added := strings.CutPrefix(lines.Text(), "+"); added {
			marks = append(marks, Mark(m))
		} else if m, gone := strings.CutPrefix(lines.Text(), "-"); gone {
			marks = slices.DeleteFunc(marks, func(other Mark) bool { return other == Mark(m) })
		}
	}
	Sweep(marks...)
}
