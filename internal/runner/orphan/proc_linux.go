package orphan

import (
	"bytes"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Adopt makes this process, and not the system's init, the parent of its orphaned descendants.
func Adopt() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// Bequeath gives m, the mark of a runner, to the processes that this one starts from now on, until
// undo is called.
//
// The number of a mark is a soft limit for file locks, RLIMIT_LOCKS. Linux has not enforced that
// one since 2.4.25, but each process inherits it and shows it in /proc, whatever happens to its
// environment, its session and its parents. Where the limit cannot be set, in gVisor for example,
// only the environment has the mark: a daemon that clears its environment then survives.
func Bequeath(m Mark) (undo func()) {
	var limit unix.Rlimit
	if m == "" || unix.Getrlimit(unix.RLIMIT_LOCKS, &limit) != nil {
		return func() {}
	}
	if unix.Setrlimit(unix.RLIMIT_LOCKS, &unix.Rlimit{Cur: m.number(), Max: limit.Max}) != nil {
		return func() {}
	}
	return func() { _ = unix.Setrlimit(unix.RLIMIT_LOCKS, &limit) }
}

// List shows every process that this one can see.
func List() []Entry {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1) // what can be read is enough
	all := make([]Entry, 0, len(names))
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if e, ok := look(pid); ok {
			all = append(all, e)
		}
	}
	return all
}

// look reads /proc/PID/stat: the fields after the name, which stands in brackets and may contain
// any character. See proc(5).
func look(pid int) (Entry, bool) {
	stat, err := os.ReadFile(file(pid, "stat"))
	if err != nil {
		return Entry{}, false
	}
	const state, ppid, starttime = 0, 1, 19 // fields 3, 4 and 22
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) <= starttime {
		return Entry{}, false
	}
	parent, _ := strconv.Atoi(string(fields[ppid]))
	is := fields[state][0]
	zombie := is == 'Z' || is == 'X'
	return Entry{PID: pid, Parent: parent, Zombie: zombie, start: string(fields[starttime])}, true
}

func file(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/" + name }

// has reports whether the process has inherited mark m. No process has the empty mark. A process
// that this one may not inspect counts as unmarked.
func (e Entry) has(m Mark) bool {
	if m == "" {
		return false
	}
	if number, ok := e.number(); ok && m.covers(number) {
		return true
	}
	environment, err := os.ReadFile(file(e.PID, "environ"))
	if err != nil {
		return false
	}
	return bytes.HasPrefix(environment, []byte(m)) || bytes.Contains(environment, []byte("\x00"+m))
}

// number returns the limit that the process has inherited; ok is false if it is "unlimited".
func (e Entry) number() (number uint64, ok bool) {
	limits, err := os.ReadFile(file(e.PID, "limits"))
	if err != nil {
		return 0, false
	}
	_, locks, _ := bytes.Cut(limits, []byte("\nMax file locks "))
	fields := bytes.Fields(locks)
	if len(fields) == 0 {
		return 0, false
	}
	number, err = strconv.ParseUint(string(fields[0]), 10, 64)
	return number, err == nil
}

// kill kills the process, and not another one that has got its id meanwhile. After PidfdOpen, a
// process with that id and the same start time is the one that the descriptor means. Linux before
// 5.3 has no such descriptors: there, a moment remains between the look and the signal.
func (e Entry) kill() {
	fd, err := unix.PidfdOpen(e.PID, 0)
	if err == nil {
		defer unix.Close(fd)
	}
	if now, ok := look(e.PID); !ok || now.start != e.start {
		return
	}
	if err == nil {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) // it may have ended meanwhile
		return
	}
	_ = syscall.Kill(e.PID, syscall.SIGKILL)
}
