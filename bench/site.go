package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// site is Coggo as a client meets it: one server, or a queue with a gateway and two workers.
type site struct {
	name string
	*server
	trees  []int // the first process of the server, or of gateway and workers
	broker int   // process of the broker, or 0
	stop   func()
}

// sites starts one server, and a queue if there is a broker, with the same model. The slots are
// those of all workers together. Both get the flags, and those of alone are for one server.
func (q *curves) sites(model string, slots int, flags, alone []string) ([]*site, error) {
	one := options{concurrency: slots, flags: strings.Join(append(alone, flags...), " ")}
	if err := q.start(systems[0], "one server", model, one); err != nil {
		return nil, err
	}
	if _, err := program("nats-server"); err != nil {
		fmt.Println("without a queue: nats-server is not installed")
		return q.up, nil
	}
	err := q.startQueue(model, slots, flags)
	return q.up, err
}

// start starts a system as a site.
func (q *curves) start(sys *system, name, model string, o options) error {
	s, err := sys.start(model, o)
	if err == nil {
		q.add(&site{name: name, server: s, trees: []int{s.cmd.Process.Pid}, stop: s.stop})
	}
	return err
}

func (q *curves) startQueue(model string, slots int, flags []string) error {
	model, err := modelDir(model, options{concurrency: max(1, slots/2)})
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-queue-")
	if err != nil {
		return err
	}
	f := &fleet{dir: dir, ports: map[string]int{}, peer: &peer{
		name: "coggo", broker: "nats-server",
		worker: func(f *fleet, _ int) *exec.Cmd {
			return f.coggo(append([]string{model, "--python", python("coggo"), "--port", "0"}, flags...)...)
		},
		gateway: func(f *fleet) *exec.Cmd {
			return f.coggo(append([]string{"gateway", "--port", f.port("gateway")}, flags...)...)
		},
	}}
	s := q.add(&site{name: "queue", stop: func() {
		if err := f.stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		_ = os.RemoveAll(model)
	}})
	if err := f.startMembers(); err != nil {
		return err
	}
	s.broker = f.members[0].Process.Pid
	for _, cmd := range f.members[1:] {
		s.trees = append(s.trees, cmd.Process.Pid)
	}
	knowsBoth := func(s *server) bool {
		body, err := s.get("/health-check")
		return err == nil && strings.Contains(body, `"workers":2`)
	}
	s.server = &server{
		system: &system{name: "coggo", path: "/predictions", ready: knowsBoth},
		cmd:    f.members[len(f.members)-1],
		wires:  wires{address: "127.0.0.1:" + f.port("gateway")},
	}
	return s.await(5*time.Millisecond, time.Minute)
}

// memory is the PSS of the processes of Coggo, and that of the broker, in KiB.
type memory struct{ own, broker float64 }

func (s *site) memory() (m memory) {
	for _, root := range s.trees {
		m.own += float64(field(tree(root), "smaps_rollup", "Pss"))
	}
	if s.broker != 0 {
		m.broker = float64(field([]int{s.broker}, "smaps_rollup", "Pss"))
	}
	return m
}

// cpu returns the CPU time of all processes, those of the broker included, in milliseconds.
func (s *site) cpu() (sum float64) {
	for _, root := range append(slices.Clone(s.trees), s.broker) {
		if root != 0 {
			own, _ := (&server{cmd: &exec.Cmd{Process: &os.Process{Pid: root}}}).activity()
			sum += own
		}
	}
	return sum
}
