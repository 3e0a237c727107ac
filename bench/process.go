package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// tree returns the process and all its descendants.
func tree(root int) []int {
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
		_, rest, _ := strings.Cut(string(data), ") ")
		fields := strings.Fields(rest)
		if len(fields) < 2 {
			continue
		}
		parent, _ := strconv.Atoi(fields[1])
		children[parent] = append(children[parent], pid)
	}
	all := []int{root}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// field adds up a line such as "Pss:  12 kB" of a file below /proc/PID over processes, in the unit
// of the line.
func field(pids []int, file, name string) (sum int) {
	for _, pid := range pids {
		data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
		for line := range strings.Lines(string(data)) {
			if rest, found := strings.CutPrefix(line, name+":"); found {
				n, _ := strconv.Atoi(strings.Fields(rest)[0])
				sum += n
			}
		}
	}
	return sum
}

// pss returns the memory of the tree in MiB. A shared page is divided among its users.
func (s *server) pss() float64 {
	return float64(field(tree(s.cmd.Process.Pid), "smaps_rollup", "Pss")) / 1024
}

// forgetPeak resets the figure of peak.
func (s *server) forgetPeak() {
	for _, pid := range tree(s.cmd.Process.Pid) {
		_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
	}
}

// peak returns the sum of the peaks of each process of the tree, in MiB.
func (s *server) peak() float64 {
	return float64(field(tree(s.cmd.Process.Pid), "status", "VmHWM")) / 1024
}

func (s *server) activity() (cpu float64, sleeps int) { return activity(s.cmd.Process.Pid) }

// activity returns the CPU time in milliseconds, and the number of times that a thread of the tree
// went to sleep.
func activity(root int) (cpu float64, sleeps int) {
	for _, pid := range tree(root) {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
		for _, task := range tasks {
			data, err := os.ReadFile(task + "/schedstat")
			if err != nil {
				continue
			}
			ns, _ := strconv.ParseFloat(strings.Fields(string(data))[0], 64)
			cpu += ns / 1e6
			status, _ := os.ReadFile(task + "/status")
			for line := range strings.Lines(string(status)) {
				if rest, found := strings.CutPrefix(line, "voluntary_ctxt_switches:"); found {
					n, _ := strconv.Atoi(strings.TrimSpace(rest))
					sleeps += n
				}
			}
		}
	}
	return cpu, sleeps
}
