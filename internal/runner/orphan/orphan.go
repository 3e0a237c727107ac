// Package orphan finds what a runner leaves behind and ends it: children in its group, daemons in sessions of their own,
// whatever the model has started. Descendants are known by a mark in their environment, which they inherit.
//
// Linux only; elsewhere its functions do nothing. It imports little: the guard runs from its init.
package orphan

import (
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"
)

// Mark is the beginning of an environment entry by which processes are known.
type Mark string

// Entry is a process as /proc shows it.
type Entry struct {
	PID, Parent, Group int
	Zombie             bool
}

// Of is the mark of everything that any server on directory dir has started; empty when there is no such directory.
// It is the directory itself and not its path that counts, since containers can have different ones at the same path.
func Of(dir string) Mark {
	info, err := os.Stat(dir)
	if err != nil {
		return ""
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return Mark(fmt.Sprintf("COGGO_SPOOL=%x-%x/", stat.Dev, stat.Ino))
}

// Own is the mark of what this server starts on dir.
func Own(dir string) Mark {
	of := Of(dir)
	if of == "" {
		return ""
	}
	return of + Mark(fmt.Sprintf("%x-%x/", os.Getpid(), time.Now().UnixNano()))
}

// rounds and pause bound how long it is tried to end what starts new processes, or is stuck in the kernel.
const (
	rounds = 200
	pause  = 2 * time.Millisecond
)

// Sweep kills until nothing is left of what victims picks out of all live processes, a list that it may change.
func Sweep(victims func(all []Entry) []Entry) {
	killed := map[int]bool{}
	for range rounds {
		all := List()
		// A process that is killed loses its environment, and so its mark, before it lets go of its devices.
		dying := slices.ContainsFunc(all, func(e Entry) bool { return killed[e.PID] && !e.Zombie })
		found := victims(all)
		if len(found) == 0 && !dying {
			return
		}
		for _, e := range found {
			_ = syscall.Kill(e.PID, syscall.SIGKILL) // it may have ended meanwhile
			killed[e.PID] = true
		}
		time.Sleep(pause)
	}
}

// SweepMarked kills everything with mark m but this process itself.
func SweepMarked(m Mark) {
	Sweep(func(all []Entry) (found []Entry) {
		for _, e := range all {
			if !e.Zombie && e.PID != os.Getpid() && e.Has(m) {
				found = append(found, e)
			}
		}
		return found
	})
}
