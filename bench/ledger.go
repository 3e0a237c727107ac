package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// taskRun is one run of a task as the ledger has it, see bench/queue/work.py.
type taskRun struct {
	name, id   string
	pids       [2]int // of the process that runs it, and of that one's parent
	begin, end float64
}

func (r taskRun) of(pids []int) bool {
	return slices.Contains(pids, r.pids[0]) || slices.Contains(pids, r.pids[1])
}

// runs returns the runs that have begun, in that order.
func (f *fleet) runs() (all []taskRun) {
	data, _ := os.ReadFile(filepath.Join(f.dir, "runs")) // missing until something has run
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(line)
		at, _ := strconv.ParseFloat(words[5], 64)
		if words[0] == "end" {
			i := slices.IndexFunc(all, func(r taskRun) bool { return r.id == words[2] })
			all[i].end = at
			continue
		}
		pid, _ := strconv.Atoi(words[3])
		parent, _ := strconv.Atoi(words[4])
		all = append(all, taskRun{name: words[1], id: words[2], pids: [2]int{pid, parent}, begin: at})
	}
	return all
}

// going says whether a run still holds its lock.
func (f *fleet) going(r taskRun) bool {
	file, err := os.Open(filepath.Join(f.dir, r.id))
	if err != nil {
		return false
	}
	defer file.Close()
	return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil
}

// begun waits until a task runs and returns the run.
func (f *fleet) begun(name string) (taskRun, error) {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); pause(time.Millisecond) {
		for _, r := range f.runs() {
			if r.name == name {
				return r, nil
			}
		}
	}
	return taskRun{}, fmt.Errorf("%s does not run", name)
}

// quiet waits until no run holds its lock.
func (f *fleet) quiet(limit time.Duration) error {
	for end := time.Now().Add(limit); time.Now().Before(end); pause(20 * time.Millisecond) {
		if f.stopped.Load() {
			return errStopped
		}
		if !slices.ContainsFunc(f.runs(), func(r taskRun) bool { return r.end == 0 && f.going(r) }) {
			return nil
		}
	}
	return fmt.Errorf("something runs after %s", limit)
}
