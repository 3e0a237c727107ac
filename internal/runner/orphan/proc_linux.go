package orphan

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

const prSetChildSubreaper = 36

// Adopt makes this process the parent of what its descendants leave behind, instead of the system's init.
func Adopt() { _, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0) }

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

// look reads /proc/PID/stat: the fields after the name, which stands in brackets and may hold anything.
func look(pid int) (Entry, bool) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return Entry{}, false
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 3 {
		return Entry{}, false
	}
	parent, _ := strconv.Atoi(string(fields[1]))
	group, _ := strconv.Atoi(string(fields[2]))
	return Entry{PID: pid, Parent: parent, Group: group, Zombie: fields[0][0] == 'Z' || fields[0][0] == 'X'}, true
}

// Has reports whether the process was born with a mark that begins with m. Nothing has the empty one, and what may not be
// looked into has none.
func (e Entry) Has(m Mark) bool {
	if m == "" {
		return false
	}
	environment, err := os.ReadFile("/proc/" + strconv.Itoa(e.PID) + "/environ")
	if err != nil {
		return false
	}
	return bytes.HasPrefix(environment, []byte(m)) || bytes.Contains(environment, []byte("\x00"+m))
}
