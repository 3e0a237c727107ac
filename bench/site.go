package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// site is Coggo as a client meets it: one server, or a queue.
type site struct {
	name    string
	*server        // that the client asks
	queue   *fleet // nil: one server
	model   string // directory of the model of the queue
}

// newQueue returns a queue of which nothing runs yet. Each of its workers has this many slots.
func newQueue(name, binary, class string, slots int, flags ...string) (*site, error) {
	model, err := modelDir(class, options{concurrency: slots})
	if err != nil {
		return nil, err
	}
	f, err := newFleet(coggoQueue(binary, model, flags...))
	return &site{name: name, queue: f, model: model}, err
}

// startQueue starts the broker, the workers and the gateway. Without workers, it starts one for a
// moment, so that the gateway knows the model.
func (s *site) startQueue(workers int) error {
	most := max(1, workers)
	if err := s.queue.startMembers(most); err != nil {
		return err
	}
	knowsAll := func(s *server) bool {
		body, err := s.get("/health-check")
		return err == nil && strings.Contains(body, fmt.Sprintf(`"workers":%d`, most))
	}
	gateway := s.queue.members[len(s.queue.members)-1]
	s.server = s.queue.server("gateway", gateway, knowsAll)
	err := s.await(5*time.Millisecond, time.Minute)
	if err == nil && workers == 0 {
		s.queue.stopWorkers()
	}
	return err
}

func (s *site) stop() {
	if s.server != nil && s.queue == nil {
		s.server.stop()
		return
	}
	if s.server != nil {
		s.wires.close()
	}
	if err := s.queue.stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	_ = os.RemoveAll(s.model)
}

// roots returns the first process of each program.
func (s *site) roots() (pids []int) {
	if s.queue == nil {
		return []int{s.cmd.Process.Pid}
	}
	for _, cmd := range s.queue.members {
		pids = append(pids, cmd.Process.Pid)
	}
	return pids
}

// memory is the PSS of the processes of Coggo, and that of the broker, in KiB.
type memory struct{ own, broker float64 }

func (s *site) memory() (m memory) {
	roots := s.roots()
	if s.queue != nil {
		m.broker = float64(field(roots[:1], "smaps_rollup", "Pss"))
		roots = roots[1:]
	}
	for _, root := range roots {
		m.own += float64(field(tree(root), "smaps_rollup", "Pss"))
	}
	return m
}

// cpu returns the CPU time of all processes, those of the broker included, in milliseconds.
func (s *site) cpu() (sum float64) {
	for _, root := range s.roots() {
		own, _ := activity(root)
		sum += own
	}
	return sum
}
