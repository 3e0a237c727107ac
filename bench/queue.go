package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"time"
)

// queueBoard shows the results of `make bench-queue`.
var queueBoard = board{
	command: "make bench-queue", pictures: "performance/queue",
	plots: map[string][]string{
		"speed.svg":  {"no-op, one client: p50", "no-op, one client: p99", "no-op, 32 in flight", "no-ops accepted"},
		"faults.svg": {"killed → runs again, median", "killed → runs again, longest", "cancel → it has stopped"},
	},
}

// queueRun is one run of `make bench-queue`.
type queueRun struct {
	extent
	only *regexp.Regexp

	mu      sync.Mutex // guards the fields below
	report  report
	fleets  []*fleet
	stopped bool
}

// The rows of the table. Those of one round come from one measurement, in turns; the others are
// counted once.
const (
	rowP50      = "no-op, one client: p50"
	rowP99      = "no-op, one client: p99"
	rowFinished = "no-op, 32 in flight: finished"
	rowAccepted = "no-ops accepted by one client"
	rowDrained  = "the same until all have finished"
	rowLost     = "kill -9 of a worker: tasks without an end"
	rowFailed   = "kill -9: tasks that failed"
	rowAgain    = "kill -9: runs beyond the first"
	rowNeedless = "of them, without a kill of the first"
	rowChanged  = "kill -9: ends that changed after a client had them"
	rowMedian   = "killed → runs again, median"
	rowLongest  = "killed → runs again, longest"
	rowSettled  = "last kill → last end"
	rowStopped  = "cancel → it has stopped"
	rowLong     = "runs of a task that takes 13 times as long as the broker waits"
	rowLongEnds = "different ends of that task"
)

var queueRows = []result{
	{Workload: rowP50, Unit: "ms"},
	{Workload: rowP99, Unit: "ms"},
	{Workload: rowFinished, Unit: "/s", Higher: true},
	{Workload: rowAccepted, Unit: "/s", Higher: true},
	{Workload: rowDrained, Unit: "/s", Higher: true},
	{Workload: rowLost, Unit: tasks},
	{Workload: rowFailed, Unit: tasks},
	{Workload: rowAgain, Unit: tasks},
	{Workload: rowNeedless, Unit: tasks},
	{Workload: rowChanged, Unit: tasks},
	{Workload: rowMedian, Unit: "s"},
	{Workload: rowLongest, Unit: "s"},
	{Workload: rowSettled, Unit: "s"},
	{Workload: rowStopped, Unit: "ms"},
	{Workload: rowLong, Unit: tasks},
	{Workload: rowLongEnds, Unit: tasks},
}

func (q *queueRun) run() error {
	q.report = report{
		Began: time.Now().UTC().Format(time.RFC3339), Rounds: q.rounds, Quick: q.quick, board: queueBoard,
	}
	for _, row := range queueRows {
		row.Samples, row.Wrong, row.Errors = map[string][]float64{}, map[string]int{}, map[string]string{}
		q.report.Results = append(q.report.Results, row)
	}
	defer q.stop()
	go q.endAtSignal()
	if err := q.deploy(); err != nil {
		return err
	}
	fleets := q.fleets
	broken := map[*fleet]bool{}
	for round := range q.rounds + 1 {
		for _, f := range fleets {
			if broken[f] {
				continue
			}
			if err := q.speed(f, round > 0); err != nil { // the first one warms up
				fmt.Fprintf(os.Stderr, "%s: %v\n", f.name, err)
				broken[f] = true
			}
		}
	}
	fleets = slices.DeleteFunc(slices.Clone(fleets), func(f *fleet) bool { return broken[f] })
	if err := q.report.write(q.out); err != nil {
		return err
	}
	for _, part := range []func(*fleet) error{q.cancels, q.kills, q.long} {
		if err := together(fleets, part); err != nil {
			return err
		}
		if err := q.report.write(q.out); err != nil {
			return err
		}
	}
	fmt.Println(q.report.markdown())
	return nil
}

// deploy starts the peers that are here, and names the others.
func (q *queueRun) deploy() error {
	for _, p := range peers {
		if !q.only.MatchString(p.name) {
			continue
		}
		if why := p.missing(); why != "" {
			fmt.Printf("without %s: %s\n", p.name, why)
			continue
		}
		f, err := newFleet(p)
		if err != nil {
			return err
		}
		q.mu.Lock()
		q.fleets = append(q.fleets, f)
		stopped := q.stopped
		q.mu.Unlock()
		if stopped {
			return errStopped
		}
		if err := f.deploy(); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		q.report.Systems = append(q.report.Systems, p.name)
	}
	return nil
}

var errStopped = errors.New("stopped by a signal")

// endAtSignal ends the run at a signal: without its client each part of the run fails, and run stops
// the rest.
func (q *queueRun) endAtSignal() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	<-signals
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = true
	for _, f := range q.fleets {
		f.stopped.Store(true)
		if f.driver != nil {
			_ = f.driver.Process.Kill()
		}
	}
}

// stop ends all fleets.
func (q *queueRun) stop() {
	for _, f := range q.fleets {
		if err := f.stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}

// together does one part for all peers at once: tasks of this part sleep, and take no processor.
func together(fleets []*fleet, part func(*fleet) error) error {
	failed := make(chan error, len(fleets))
	for _, f := range fleets {
		go func() {
			if err := part(f); err != nil {
				failed <- fmt.Errorf("%s: %w", f.name, err)
				return
			}
			failed <- nil
		}()
	}
	var first error
	for range fleets {
		if err := <-failed; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// note adds a figure to a row.
func (q *queueRun) note(f *fleet, row string, figure float64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.row(row).Samples[f.name] = append(q.row(row).Samples[f.name], figure)
}

func (q *queueRun) row(name string) *result {
	i := slices.IndexFunc(q.report.Results, func(r result) bool { return r.Workload == name })
	return &q.report.Results[i]
}
