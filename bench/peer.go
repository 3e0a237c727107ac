package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	coggoQueue("bin/coggo-server", "bench/queue"),
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

// coggoQueue is the queue of a binary with this model. Its workers and its gateway get the flags.
func coggoQueue(binary, model string, flags ...string) *peer {
	run := func(f *fleet, args ...string) *exec.Cmd {
		return exec.Command(binary, slices.Concat(args, flags, []string{
			"--host", "127.0.0.1", "--queue", f.nats(), "--name", "bench/work",
		})...)
	}
	return &peer{
		name: "coggo", broker: "nats-server", client: "coggo_client",
		worker: func(f *fleet, n int) *exec.Cmd {
			return run(f, model, "--python", python("coggo"), "--port", f.port(worker(n)))
		},
		gateway: func(f *fleet) *exec.Cmd { return run(f, "gateway", "--port", f.port("gateway")) },
	}
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
