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
// which the kernel has made its children, and children started before this program took the process
// over with exec: nobody else waits for either. It is a global because a process has one table of
// children.
var family = struct {
	// mu guards own. It is held while a child starts: one at a time, and no orphan is reaped
	// meanwhile.
	mu  sync.Mutex
	own map[int]bool

	once  sync.Once
	guard *orphan.Guard
}{own: map[int]bool{}}

// guarded returns the guard of the server with mark m, nil without one. The first call starts it,
// before orphans become children of this process, because the guard itself must not. The first
// process of a container needs no guard: the kernel ends all others with it.
func guarded(m orphan.Mark) *orphan.Guard {
	family.once.Do(func() {
		if m != "" && os.Getpid() != 1 {
			// Without a guard the next server on the directory ends what this one leaves.
			family.guard, _ = orphan.StartGuard(m, run)
		}
		orphan.Adopt()
	})
	return family.guard
}

// run runs a command other than a runner.
func run(cmd *exec.Cmd) error {
	if err := start(cmd, ""); err != nil {
		return err
	}
	defer forget(cmd.Process.Pid)
	return cmd.Wait()
}

// start starts a command. The command and all its descendants inherit mark m.
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

// reapOrphans waits for the other children that have exited, so that they don't stay zombies. It
// leaves our own to their callers of Wait.
func reapOrphans() {
	family.mu.Lock()
	defer family.mu.Unlock()
	for _, e := range orphan.List() {
		if e.Zombie && e.Parent == os.Getpid() && !family.own[e.PID] {
			_, _ = syscall.Wait4(e.PID, nil, syscall.WNOHANG, nil)
		}
	}
}

// reapOrphansUntil reaps orphans as they exit.
func reapOrphansUntil(done <-chan struct{}) {
	exited := make(chan os.Signal, 1)
	signal.Notify(exited, syscall.SIGCHLD)
	defer signal.Stop(exited)
	for {
		select {
		case <-exited:
			reapOrphans()
		case <-done:
			return
		}
	}
}
