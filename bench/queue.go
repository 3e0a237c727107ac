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
	fleets  []*fleet // what has to be stopped
	stopped bool
	failed  error // of Coggo
}

// The rows of the table. Those of one round come from one measurement, in turns; the others are
// counted once.
const (
	rowP50      = "no-op, one client: p50"
	rowP99      = "no-op, one client: p99"
	rowFinished = "no-op, 32 in flight: finished"
	rowAccepted = "no-ops accepted by one client"
	rowDrained  = "the same until all have finished"
	rowUnended  = "no-ops without an end, in all rounds"
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
	{Workload: rowUnended, Unit: tasks},
	{Workload: rowLost, Unit: tasks},
	{Workload: rowFailed, Unit: tasks},
	{Workload: rowAgain, Unit: tasks, Neutral: true}, // a queue without any loses tasks
	{Workload: rowNeedless, Unit: tasks},
	{Workload: rowChanged, Unit: tasks},
	{Workload: rowMedian, Unit: "s"},
	{Workload: rowLongest, Unit: "s"},
	{Workload: rowSettled, Unit: "s"},
	{Workload: rowStopped, Unit: "ms"},
	{Workload: rowLong, Unit: tasks},
	{Workload: rowLongEnds, Unit: tasks},
}

// begin makes an empty report.
func (q *queueRun) begin() {
	q.report = report{
		Began: time.Now().UTC().Format(time.RFC3339), Rounds: q.rounds, Quick: q.quick, board: queueBoard,
	}
	for _, row := range queueRows {
		row.Samples, row.Wrong, row.Errors = map[string][]float64{}, map[string]int{}, map[string]string{}
		row.Why, row.LeftOut = map[string]string{}, map[string][]int{}
		q.report.Results = append(q.report.Results, row)
	}
}

func (q *queueRun) run() error {
	q.begin()
	defer q.stop()
	go q.endAtSignal()
	fleets, err := q.deploy()
	if err != nil {
		return err
	}
	for round := range q.rounds + 1 {
		if err := q.finished(); err != nil {
			return err
		}
		for _, f := range fleets {
			q.speed(f, round-1) // the first one warms up
		}
	}
	for _, p := range []part{
		{q.cancels, []string{rowStopped}},
		{q.kills, []string{
			rowLost, rowFailed, rowAgain, rowNeedless, rowChanged, rowMedian, rowLongest, rowSettled,
		}},
		{q.long, []string{rowLong, rowLongEnds}},
	} {
		if err := q.finished(); err != nil {
			return err
		}
		q.together(fleets, p)
	}
	if err := q.finished(); err != nil {
		return err
	}
	fmt.Println(q.report.markdown())
	return q.failed
}

// finished writes what has been measured, unless a signal has stopped it.
func (q *queueRun) finished() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopped {
		return errStopped
	}
	return q.report.write(q.out)
}

// deploy starts the peers that are here, and names the others. It returns those that run.
func (q *queueRun) deploy() (up []*fleet, err error) {
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
			return nil, err
		}
		q.mu.Lock()
		q.fleets = append(q.fleets, f)
		stopped := q.stopped
		q.mu.Unlock()
		if stopped {
			return nil, errStopped
		}
		if err := f.deploy(); err != nil {
			if f.stopped.Load() || p.name == "coggo" {
				return nil, fmt.Errorf("%s: %w", p.name, err)
			}
			fmt.Printf("without %s: %v\n", p.name, errors.Join(err, f.stop()))
			continue
		}
		up = append(up, f)
		q.report.Systems = append(q.report.Systems, p.name)
	}
	return up, nil
}

var errStopped = errors.New("stopped by a signal")

// endAtSignal ends the run at a signal: without its client each part of the run fails, and run
// stops the rest.
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

// part is a workload that is done once, and its rows.
type part struct {
	do   func(*fleet) error
	rows []string
}

// together does one part for all peers at once: tasks of this part sleep, and take no processor.
func (q *queueRun) together(fleets []*fleet, p part) {
	var all sync.WaitGroup
	for _, f := range fleets {
		all.Go(func() {
			if err := p.do(f); err != nil {
				q.fail(f, p.rows, err)
			}
		})
	}
	all.Wait()
}

// fail notes that a peer failed in a workload. Its other rows are not affected.
func (q *queueRun) fail(f *fleet, rows []string, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, row := range rows {
		q.row(row).Errors[f.name] = err.Error()
	}
	err = fmt.Errorf("%s: %s: %w", f.name, rows[0], err)
	fmt.Fprintln(os.Stderr, err)
	if f.name == "coggo" && q.failed == nil {
		q.failed = err
	}
}

// note adds a figure to a row.
func (q *queueRun) note(f *fleet, row string, figure float64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.row(row).Samples[f.name] = append(q.row(row).Samples[f.name], figure)
}

// lacks says why a peer has no figure in a row.
func (q *queueRun) lacks(f *fleet, row, why string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.row(row).Why[f.name] = why
}

func (q *queueRun) row(name string) *result {
	i := slices.IndexFunc(q.report.Results, func(r result) bool { return r.Workload == name })
	return &q.report.Results[i]
}
