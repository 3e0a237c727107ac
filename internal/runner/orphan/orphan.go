// Package orphan finds what a runner leaves behind and ends it: children in its group, daemons in
// sessions of their own, whatever the model has started. Descendants are known by a mark that they
// inherit in two ways: as an entry of their environment, and, because that can be cleared, as a
// limit of the kernel that limits nothing.
//
// Linux only; elsewhere its functions do nothing. It imports little: the guard runs from its init.
package orphan

import (
	"fmt"
	"hash/fnv"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Mark is the beginning of an environment entry by which processes are known: that of a directory,
// or of one runner.
type Mark string

// Entry is a process as /proc shows it.
type Entry struct {
	PID, Parent int
	Zombie      bool
	start       string // when it was born, in ticks: two processes with one number differ in it
}

// Of is the mark of everything that any server on directory dir has started; empty when there is no
// such directory. It is the directory itself and not its path that counts, since containers can
// have different ones at the same path.
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

// Own is the mark of dir for this server, from which it makes those of its runners.
func Own(dir string) Mark {
	of := Of(dir)
	if of == "" {
		return ""
	}
	return of + Mark(fmt.Sprintf("%x-%x/", os.Getpid(), time.Now().UnixNano()))
}

// Runner is the mark of the server's nth runner and of what descends from it.
func (m Mark) Runner(n int64) Mark { return m + Mark(strconv.FormatInt(n, 10)) + "." }

// runnerBits are the lower bits of a mark as a number; the upper ones stand for the directory.
const runnerBits = 30

// number is the mark of a runner as a number, and that of a directory as the upper bits of such.
// Nobody sets a limit as high.
func (m Mark) number() uint64 {
	dir, runner, _ := strings.Cut(string(m), "/")
	number := 1<<62 | uint64(hash(dir))<<runnerBits
	if runner != "" {
		number |= uint64(hash(runner)) >> (32 - runnerBits)
	}
	return number
}

// covers reports whether a process with the number descends from what the mark stands for.
func (m Mark) covers(number uint64) bool {
	if strings.HasSuffix(string(m), "/") {
		number = number >> runnerBits << runnerBits
	}
	return number == m.number()
}

func hash(text string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(text)) // never fails
	return h.Sum32()
}

// rounds and pause bound how long it is tried to end what starts new processes, or is stuck in the
// kernel.
const (
	rounds = 200
	pause  = 2 * time.Millisecond
)

// Sweep kills what has one of the marks, and what descends from it, until nothing is left. It
// spares this process.
func Sweep(marks ...Mark) {
	killed := map[Entry]bool{}
	for range rounds {
		all := slices.DeleteFunc(List(), func(e Entry) bool { return e.Zombie || e.PID == os.Getpid() })
		victims := marked(all, marks)
		for _, e := range victims {
			e.kill()
		}
		// A process that is killed loses its environment, and so its mark, before it lets go of its
		// devices.
		dying := slices.ContainsFunc(all, func(e Entry) bool { return killed[e.anywhere()] })
		if len(victims) == 0 && !dying {
			return
		}
		for _, e := range victims {
			killed[e.anywhere()] = true
		}
		time.Sleep(pause)
	}
}

// anywhere is the process wherever it is: its parent may die before it.
func (e Entry) anywhere() Entry { return Entry{PID: e.PID, start: e.start} }

// marked are the processes that have one of the marks, and all below them.
func marked(all []Entry, marks []Mark) (found []Entry) {
	children := map[int][]Entry{}
	taken := map[int]bool{}
	take := func(e Entry) {
		if !taken[e.PID] {
			taken[e.PID] = true
			found = append(found, e)
		}
	}
	for _, e := range all {
		children[e.Parent] = append(children[e.Parent], e)
		if slices.ContainsFunc(marks, e.has) {
			take(e)
		}
	}
	for i := 0; i < len(found); i++ {
		for _, child := range children[found[i].PID] {
			take(child)
		}
	}
	return found
}
