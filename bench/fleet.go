package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// fleet is a peer that runs.
type fleet struct {
	*peer
	dir     string // logs, the ledger, and what the broker keeps
	ports   map[string]int
	members []*exec.Cmd // what runs, the broker first
	workers []*exec.Cmd // of those
	driver  *exec.Cmd
	stopped atomic.Bool // by a signal
	in      io.WriteCloser
	out     *bufio.Reader
}

// newFleet returns a fleet of which nothing runs yet.
func newFleet(p *peer) (*fleet, error) {
	dir, err := os.MkdirTemp("", "bench-queue-")
	return &fleet{peer: p, dir: dir, ports: map[string]int{}}, err
}

// deploy starts the members of a fleet. It returns when each worker has run a task, and leaves it
// to the caller to stop what has started.
func (f *fleet) deploy() error {
	workers := 2
	if f.inner != "" {
		workers = 1
	}
	if err := f.startMembers(workers); err != nil {
		return err
	}
	if err := f.startDriver(); err != nil {
		return err
	}
	return f.warm()
}

// startMembers starts the broker, the workers and the gateway.
func (f *fleet) startMembers(workers int) error {
	if err := f.startBroker(); err != nil {
		return err
	}
	for n := range workers {
		if err := f.startWorker(n); err != nil {
			return err
		}
	}
	if f.gateway == nil {
		return nil
	}
	if err := f.start("gateway", f.gateway(f)); err != nil {
		return err
	}
	return f.listens("gateway")
}

func (f *fleet) startBroker() error {
	if f.broker == "" {
		return nil
	}
	path, err := program(f.broker)
	if err != nil {
		return err
	}
	broker := exec.Command(path, "-js", "-sd", f.dir, "-a", "127.0.0.1", "-p", f.port("broker"))
	if f.broker == "redis-server" {
		broker = exec.Command(path, "--bind", "127.0.0.1", "--port", f.port("broker"), "--dir", f.dir)
	}
	if err := f.start("broker", broker); err != nil {
		return err
	}
	return f.listens("broker")
}

// port returns the port of a member as text, the same each time.
func (f *fleet) port(of string) string {
	if f.ports[of] == 0 {
		f.ports[of], _ = freePort() // a port that is taken shows as a member that does not listen
	}
	return strconv.Itoa(f.ports[of])
}

func (f *fleet) redis() string { return "redis://127.0.0.1:" + f.port("broker") + "/0" }
func (f *fleet) nats() string  { return "nats://127.0.0.1:" + f.port("broker") }

// module runs a Python module in the environment of the peer, beside the modules of bench/queue.
func (f *fleet) module(args ...string) *exec.Cmd {
	cmd := exec.Command(python(f.name), append([]string{"-m"}, args...)...)
	cmd.Dir = "bench/queue"
	return cmd
}

func (f *fleet) start(name string, cmd *exec.Cmd) error {
	log, err := os.OpenFile(filepath.Join(f.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	if cmd.Stdout == nil {
		cmd.Stdout = log
	}
	cmd.Stderr = log
	cmd.Env = append(os.Environ(), "LEDGER="+f.dir, "REDIS_URL="+f.redis(), "NATS_URL="+f.nats(),
		"GATEWAY_PORT="+f.port("gateway"), "PYTHONDONTWRITEBYTECODE=1",
		"RAY_USAGE_STATS_ENABLED=0", "BENTOML_DO_NOT_TRACK=True")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	f.members = append(f.members, cmd)
	return nil
}

// startWorker starts a worker that does not run: the one after the last, or one that was killed.
func (f *fleet) startWorker(n int) error {
	cmd := f.worker(f, n)
	if n == len(f.workers) {
		f.workers = append(f.workers, nil)
	}
	f.workers[n] = cmd
	return f.start(worker(n), cmd)
}

// worker is the name of a worker among the members.
func worker(n int) string { return fmt.Sprintf("worker%d", n) }

// server returns a member as a client of its HTTP API meets it.
func (f *fleet) server(name string, cmd *exec.Cmd, ready func(*server) bool) *server {
	return &server{
		system: &system{name: name, path: "/predictions", ready: ready}, cmd: cmd, began: time.Now(),
		wires: wires{address: "127.0.0.1:" + f.port(name)},
	}
}

// listens waits until a member accepts connections.
func (f *fleet) listens(name string) error {
	w := wires{address: "127.0.0.1:" + f.port(name)}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); pause(5 * time.Millisecond) {
		if c, err := w.get(); err == nil {
			return c.Close()
		}
	}
	return fmt.Errorf("its %s does not listen: %s", name, f.log(name))
}

// log returns the end of what a member has written.
func (f *fleet) log(name string) string {
	data, _ := os.ReadFile(filepath.Join(f.dir, name+".log"))
	return string(data[max(0, len(data)-2000):])
}

// processes returns those of a worker.
func (f *fleet) processes(n int) (pids []int) {
	if f.inner == "" {
		return tree(f.workers[n].Process.Pid)
	}
	for _, pid := range tree(f.workers[0].Process.Pid) {
		command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if bytes.Contains(command, []byte(f.inner)) {
			pids = append(pids, pid)
		}
	}
	if n < len(pids) {
		return pids[n : n+1]
	}
	return nil
}

// crash kills a worker with all its processes, as the end of a machine does. It returns them.
func (f *fleet) crash(n int) []int {
	pids := f.processes(n)
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if f.inner == "" {
		_ = f.workers[n].Wait() // says that it was killed
		f.forget(f.workers[n])
	}
	return pids
}

// kill crashes a worker and starts it again. It returns the processes.
func (f *fleet) kill(n int) ([]int, error) {
	pids := f.crash(n)
	if f.inner != "" {
		return pids, nil
	}
	return pids, f.startWorker(n)
}

func (f *fleet) forget(cmd *exec.Cmd) {
	f.members = slices.DeleteFunc(f.members, func(m *exec.Cmd) bool { return m == cmd })
}

// stopWorkers ends all workers, and none is left to start again.
func (f *fleet) stopWorkers() {
	for _, cmd := range f.workers {
		end(cmd)
		f.forget(cmd)
	}
	f.workers = nil
}

// stop ends all members, the broker last.
func (f *fleet) stop() error {
	if f.in != nil {
		_ = f.in.Close()
	}
	for _, cmd := range slices.Backward(f.members) {
		end(cmd)
	}
	f.members = nil
	return os.RemoveAll(f.dir)
}

// end asks a program to end, and kills what is left of its processes.
func end(cmd *exec.Cmd) {
	pids := tree(cmd.Process.Pid)
	_ = cmd.Process.Signal(syscall.SIGTERM)
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	select {
	case <-ended:
		pids = pids[1:]
	case <-time.After(3 * time.Second):
	}
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-ended
}
