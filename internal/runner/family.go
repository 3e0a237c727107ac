package runner

import (
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"sync"
	"syscall"

	"github.com/coggo/coggo/internal/runner/orphan"
)

// family knows which children this process has started itself. All others are orphans of runners, which the kernel has
// made its children. There is one family because a process has one table of children.
var family = struct {
	mu  sync.Mutex // guards own, and holds off the burial of orphans while a child is being started
	own map[int]bool

	once  sync.Once
	guard *orphan.Guard
}{own: map[int]bool{}}

// guarded returns the guard of everything with mark m, nil without one. The first call starts it, before orphans become
// children of this process: the guard itself must not. The first process of a container needs none, as the kernel ends all
// others with it.
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
	if err := start(cmd); err != nil {
		return err
	}
	defer forget(cmd.Process.Pid)
	return cmd.Wait()
}

func start(cmd *exec.Cmd) error {
	family.mu.Lock()
	defer family.mu.Unlock()
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

// bury waits for orphans that have ended, so that none stays a zombie. It leaves our own children to those who wait for
// them.
func bury() {
	family.mu.Lock()
	defer family.mu.Unlock()
	for _, e := range orphan.List() {
		if e.Zombie && e.Parent == os.Getpid() && !family.own[e.PID] {
			_, _ = syscall.Wait4(e.PID, nil, syscall.WNOHANG, nil)
		}
	}
}

// buryUntil buries orphans as they end.
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

// endDescendants kills what a runner that has ended leaves behind. It is known by its mark or its group; what has neither
// but was adopted is the runner's when there is no other one.
func (p *Process) endDescendants() {
	orphan.Sweep(func(all []orphan.Entry) []orphan.Entry {
		adopted, alone := adopted(all)
		return slices.DeleteFunc(all, func(e orphan.Entry) bool {
			return e.Zombie || e.Group != p.PID() && !e.Has(p.mark) && !(alone && adopted[e.PID])
		})
	})
	bury()
}

// adopted are the descendants of this process that do not descend from children of its own. alone reports that it has no
// such children.
func adopted(all []orphan.Entry) (found map[int]bool, alone bool) {
	family.mu.Lock()
	own := maps.Clone(family.own)
	family.mu.Unlock()
	children := map[int][]int{}
	for _, e := range all {
		children[e.Parent] = append(children[e.Parent], e.PID)
	}
	found = map[int]bool{}
	next := []int{os.Getpid()}
	for len(next) > 0 {
		parent := next[0]
		next = next[1:]
		for _, pid := range children[parent] {
			if !own[pid] && !found[pid] {
				found[pid] = true
				next = append(next, pid)
			}
		}
	}
	return found, len(own) == 0
}
