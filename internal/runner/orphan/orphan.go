// Package orphan finds and kills the processes that a runner leaves behind: children in its group,
// daemons in other sessions, anything that the model has started. It knows descendants by a mark
// that they inherit in two ways: as an entry of their environment, and, because a process can clear
// that, as a limit of the kernel that limits nothing.
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

// Mark is the beginning of an environment entry that identifies processes: those of a directory, or
// those of one runner.
type Mark string

// Entry is a process as /proc shows it.
type Entry struct {
	PID, Parent int
	Zombie      bool
	start       string // in clock ticks since boot: two processes with one id differ in it
}

// Of returns the mark of everything that any server on directory dir has started, "" if the
// directory does not exist. The mark consists of device and inode, not of the path, because
// containers can have different directories at the same path.
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

// Own returns the mark of dir for this server. The marks of its runners begin with it.
func Own(dir string) Mark {
	of := Of(dir)
	if of == "" {
		return ""
	}
	return of + Mark(fmt.Sprintf("%x-%x/", os.Getpid(), time.Now().UnixNano()))
}

// Runner returns the mark of the server's nth runner and of its descendants.
func (m Mark) Runner(n int64) Mark { return m + Mark(strconv.FormatInt(n, 10)) + "." }

// runnerBits are the lower bits of a mark as a number; the upper ones stand for the directory.
const runnerBits = 30

// number returns the mark of a runner as a number, and that of a directory as the upper bits of
// one. Bit 62 tells it from a limit that somebody has set, because such limits are lower.
func (m Mark) number() uint64 {
	dir, runner, _ := strings.Cut(string(m), "/")
	number := 1<<62 | uint64(hash(dir))<<runnerBits
	if runner != "" {
		number |= uint64(hash(runner)) >> (32 - runnerBits)
	}
	return number
}

// covers reports whether a process with the number has the mark.
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

// rounds and pause bound a sweep to about 0.4 s: a process may start new ones as fast as Sweep
// kills them, or be stuck in the kernel.
const (
	rounds = 200
	pause  = 2 * time.Millisecond
)

// Sweep kills the processes that have one of the marks, and their descendants, until there are
// none left. It spares this process.
func Sweep(marks ...Mark) {
	killed := map[Entry]bool{}
	for range rounds {
		spared := func(e Entry) bool { return e.Zombie || e.PID == os.Getpid() }
		all := slices.DeleteFunc(List(), spared)
		victims := marked(all, marks)
		for _, e := range victims {
			e.kill()
		}
		// A process that was killed loses its environment, and so its mark, before it releases its
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

// anywhere returns e without its parent, which may die before it.
func (e Entry) anywhere() Entry { return Entry{PID: e.PID, start: e.start} }

// marked returns the processes that have one of the marks, and all their descendants.
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
