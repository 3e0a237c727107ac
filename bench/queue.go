package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// peer is a queue that `make bench-queue` compares: a broker, two workers that run one task at a
// time, and one client. Its module in bench/queue says how it is set up and why.
type peer struct {
	name    string
	broker  string // the program that keeps its tasks
	client  string // module of its client
	worker  func(f *fleet, n int) *exec.Cmd
	gateway func(f *fleet) *exec.Cmd // between client and broker, or nil
	// inner is in the command of the processes that run tasks, where the only worker starts two of
	// them, and starts them again.
	inner string
}

var peers = []*peer{
	{
		name: "coggo", broker: "nats-server", client: "coggo_client",
		worker: func(f *fleet, _ int) *exec.Cmd {
			return f.coggo("bench/queue", "--python", python("coggo"), "--port", "0")
		},
		gateway: func(f *fleet) *exec.Cmd { return f.coggo("gateway", "--port", f.port("gateway")) },
	},
	{
		name: "celery", broker: "redis-server", client: "celery_tasks",
		worker: func(f *fleet, n int) *exec.Cmd {
			return f.module("celery", "-A", "celery_tasks", "worker", "--loglevel", "WARNING",
				"-n", fmt.Sprintf("worker%d@%%h", n))
		},
	},
	{
		name: "rq", broker: "redis-server", client: "rq_tasks",
		worker: func(f *fleet, _ int) *exec.Cmd {
			return f.module("rq.cli", "worker", "--url", f.redis(), "--logging_level", "WARNING",
				"--maintenance-interval", "10", "--job-monitoring-interval", "5")
		},
	},
	{
		name: "taskiq", broker: "nats-server", client: "taskiq_tasks",
		worker: func(f *fleet, _ int) *exec.Cmd {
			return f.module("taskiq", "worker", "taskiq_tasks:broker", "--log-level", "WARNING",
				"--workers", "1", "--max-async-tasks", "1")
		},
	},
	{
		name: "rayserve", broker: "redis-server", client: "rayserve_tasks",
		inner:  "ray::ServeReplica",
		worker: func(f *fleet, _ int) *exec.Cmd { return f.module("rayserve_tasks") },
	},
	{
		name: "bentoml", client: "bentoml_tasks", inner: "_bentoml_impl.worker.service",
		worker: func(f *fleet, _ int) *exec.Cmd {
			return f.module("bentoml", "serve", "bentoml_tasks:Work", "--host", "127.0.0.1",
				"--port", f.port("gateway"))
		},
	},
}

// missing says why a peer cannot run here, or is empty.
func (p *peer) missing() string {
	if _, err := program(p.broker); p.broker != "" && err != nil {
		return p.broker + " is not installed"
	}
	if _, err := os.Stat(python(p.name)); p.name != "coggo" && err != nil {
		return "bench/.venv-" + p.name + " is missing"
	}
	return ""
}

// program finds a broker: that of the benchmark, that of the tests, or that of the system.
func program(name string) (string, error) {
	for _, dir := range []string{"bench/.venv-broker", ".venv"} {
		path, err := filepath.Abs(filepath.Join(dir, "bin", name))
		if err == nil {
			if _, err = os.Stat(path); err == nil {
				return path, nil
			}
		}
	}
	return exec.LookPath(name)
}

// fleet is a peer that runs.
type fleet struct {
	*peer
	dir     string // logs, the ledger, and what the broker keeps
	ports   map[string]int
	members []*exec.Cmd // the broker, the gateway and the workers of the beginning
	workers []*exec.Cmd // as they run now
	driver  *exec.Cmd
	stopped atomic.Bool // by a signal
	in      io.WriteCloser
	out     *bufio.Reader
}

// deploy starts the members of a fleet. It returns when each worker has run a task, and leaves it
// to the caller to stop what has started.
func (f *fleet) deploy() error {
	if err := f.startMembers(); err != nil {
		return err
	}
	if err := f.startDriver(); err != nil {
		return err
	}
	return f.warm()
}

// startMembers starts the broker, the workers and the gateway.
func (f *fleet) startMembers() error {
	if err := f.startBroker(); err != nil {
		return err
	}
	for n := range 2 {
		f.workers = append(f.workers, nil)
		if f.inner != "" && n > 0 {
			break
		}
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

func (f *fleet) coggo(args ...string) *exec.Cmd {
	return exec.Command("bin/coggo-server", append(args, "--host", "127.0.0.1",
		"--queue", f.nats(), "--name", "bench/work")...)
}

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

func (f *fleet) startWorker(n int) error {
	cmd := f.worker(f, n)
	f.workers[n] = cmd
	return f.start(fmt.Sprintf("worker%d", n), cmd)
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

func (f *fleet) startDriver() error {
	cmd := exec.Command(python(f.name), "driver.py", f.client)
	cmd.Dir = "bench/queue"
	var err error
	if f.in, err = cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	f.out = bufio.NewReader(out)
	if err := f.start("driver", cmd); err != nil {
		return err
	}
	f.driver = cmd
	_, err = f.out.ReadString('\n')
	if err != nil {
		return fmt.Errorf("its client: %w: %s", err, f.log("driver"))
	}
	return nil
}

// fields are the members of a command to the client.
type fields map[string]any

// ask tells the client to do something, and reads its answer.
func (f *fleet) ask(do string, given fields, answer any) error {
	if given == nil {
		given = fields{}
	}
	given["do"] = do
	line, err := json.Marshal(given)
	if err != nil {
		return err
	}
	if _, err := f.in.Write(append(line, '\n')); err != nil {
		return err
	}
	late := time.AfterFunc(10*time.Minute, func() { _ = f.driver.Process.Kill() })
	defer late.Stop()
	text, err := f.out.ReadString('\n')
	if err != nil {
		return fmt.Errorf("%s: the client ended: %w: %s", do, err, f.log("driver"))
	}
	var failed struct{ Error string }
	if err := json.Unmarshal([]byte(text), &failed); err != nil {
		return err
	}
	if failed.Error != "" {
		return fmt.Errorf("%s: %s", do, failed.Error)
	}
	return json.Unmarshal([]byte(text), answer)
}

// warm lets tasks run until each worker has had one.
func (f *fleet) warm() error {
	ready := [2]bool{}
	for try := range 300 {
		names := []string{fmt.Sprintf("warm%d-0", try), fmt.Sprintf("warm%d-1", try)}
		if _, err := f.finish(names, 0.1, 60); err != nil {
			return err
		}
		for n := range ready {
			pids := f.processes(n)
			ready[n] = ready[n] || slices.ContainsFunc(f.runs(), func(r taskRun) bool { return r.of(pids) })
		}
		if ready[0] && ready[1] || f.inner != "" && (ready[0] || ready[1]) { // the kernel may prefer one
			return nil
		}
	}
	return errors.New("a worker runs nothing: " + f.log("worker0") + f.log("worker1"))
}

// finish runs tasks to their ends.
func (f *fleet) finish(names []string, seconds, limit float64) (map[string]string, error) {
	var done struct{ Ends map[string]string }
	err := f.ask("begin", fields{"names": names, "seconds": seconds}, &done)
	if err == nil {
		err = f.ask("ends", fields{"names": names, "limit": limit}, &done)
	}
	return done.Ends, err
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

// kill kills a worker with all its processes, as the end of a machine does, and starts it again.
// It returns the processes.
func (f *fleet) kill(n int) ([]int, error) {
	pids := f.processes(n)
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if f.inner != "" {
		return pids, nil
	}
	cmd := f.workers[n]
	_ = cmd.Wait() // says that it was killed
	f.members = slices.DeleteFunc(f.members, func(m *exec.Cmd) bool { return m == cmd })
	return pids, f.startWorker(n)
}

// stop ends all members, the broker last.
func (f *fleet) stop() error {
	if f.in != nil {
		_ = f.in.Close()
	}
	for _, cmd := range slices.Backward(f.members) {
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
	return os.RemoveAll(f.dir)
}

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
	data, _ := os.ReadFile(filepath.Join(f.dir, "runs")) // without a run there is no file
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
