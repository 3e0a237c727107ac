package runner

import (
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"

	"github.com/coggo/coggo/internal/runner/orphan"
)

// family knows which children this process has started itself. The others are orphans of runners,
// which the kernel has made its children, and what was started before this program took the process
// over with exec: nobody else waits for either. There is one family because a process has one table
// of children.
var family = struct {
	mu  sync.Mutex // guards own, holds off the burial of orphans while a child is being started, and lets one start at a time
	own map[int]bool

	once  sync.Once
	guard *orphan.Guard
}{own: map[int]bool{}}

// guarded returns the guard of the server with mark m, nil without one. The first call starts it,
// before orphans become children of this process: the guard itself must not. The first process of a
// container needs none, as the kernel ends all others with it.
func guarded(m orphan.Mark) *orphan.Guard {
	family.once.Do(func() {
		if m != "" && os.Getpid() != 1 {
			family.guard, _ = orphan.StartGuard(m, run) // else the next server on the directory ends what this one leaves
		}
		orphan.Adopt()
	})
	return family.guard
}

// run runs a command that is no runner.
func run(cmd *exec.Cmd) error {
	if err := start(cmd, ""); err != nil {
		return err
	}
	defer forget(cmd.Process.Pid)
	return cmd.Wait()
}

// start starts a command that inherits mark m, and so does all that descends from it.
func start(cmd *exec.Cmd, m orphan.Mark) error {
	family.mu.Lock()
	defer family.mu.Unlock()
	defer orphan.Bequeath(m)()
	if err := cmd.Start(); err != nil {
		return err
	}
	family.own[cmd.Process.Pid] = true
	return nil
}

// forget must be called after the child was waited for.
func forget(pid int) {
	family.mu.Lock()
	defer family.mu.Unlock()
	delete(family.own, pid)
}

// bury waits for other children that have ended, so that none stays a zombie. It leaves our own to
// those who wait for them.
func bury() {
	family.mu.Lock()
	defer family.mu.Unlock()
	for _, e := range orphan.List() {
		if e.Zombie && e.Parent == os.Getpid() && !family.own[e.PID] {
			_, _ = syscall.Wait4(e.PID, nil, syscall.WNOHANG, nil)
		}
	}
}

// buryUntil buries them as they end.
func buryUntil(done <-chan struct{}) {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	defer signal.Stop(ended)
	for {
		select {
		case <-ended:
			bury()
		case <-done:
			return
		}
	}
}
