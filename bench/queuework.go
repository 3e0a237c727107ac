package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
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
		dir, err := os.MkdirTemp("", "bench-queue-")
		if err != nil {
			return err
		}
		f := &fleet{peer: p, dir: dir, ports: map[string]int{}}
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

// extent is how much a run measures, and where its results go.
type extent struct {
	quick  bool
	rounds int
	out    string
}

func (e extent) n(quick, whole int) int {
	if e.quick {
		return quick
	}
	return whole
}

// speed measures no-ops.
func (q *queueRun) speed(f *fleet, counts bool) error {
	var alone, many struct {
		Took    []float64
		Wrong   int
		Seconds float64
	}
	var pile struct {
		Accepted, Seconds float64
		Wrong             int
	}
	n, crowd := q.n(20, 100), q.n(50, 300)
	err := f.ask("run", fields{"n": n, "in_flight": 1}, &alone)
	if err == nil {
		err = f.ask("run", fields{"n": crowd, "in_flight": 32}, &many)
	}
	if err == nil {
		err = f.ask("pile", fields{"n": crowd}, &pile)
	}
	if wrong := alone.Wrong + many.Wrong + pile.Wrong; err == nil && wrong > 0 {
		err = fmt.Errorf("%d wrong outputs", wrong)
	}
	if err != nil || !counts {
		return err
	}
	slices.Sort(alone.Took)
	q.note(f, rowP50, 1e3*alone.Took[n/2])
	q.note(f, rowP99, 1e3*alone.Took[n*99/100])
	q.note(f, rowFinished, float64(crowd)/many.Seconds)
	q.note(f, rowAccepted, float64(crowd)/pile.Accepted)
	q.note(f, rowDrained, float64(crowd)/pile.Seconds)
	return nil
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

// cancels measures the time from a cancel of a task that runs until it has stopped.
func (q *queueRun) cancels(f *fleet) error {
	for n := range q.n(2, 10) {
		name := fmt.Sprintf("cancel%d", n)
		var answer struct{ Unable string }
		if err := f.ask("begin", fields{"names": []string{name}, "seconds": 8}, &answer); err != nil {
			return err
		}
		r, err := f.begun(name)
		if err != nil {
			return err
		}
		pause(100 * time.Millisecond)
		start := time.Now()
		if err := f.ask("cancel", fields{"name": name}, &answer); err != nil {
			return err
		}
		for answer.Unable == "" && f.going(r) && time.Since(start) < 5*time.Second {
			pause(100 * time.Microsecond)
		}
		if f.going(r) {
			q.mu.Lock()
			q.row(rowStopped).Errors[f.name] = unable
			q.mu.Unlock()
			break
		}
		q.note(f, rowStopped, ms(time.Since(start)))
	}
	return f.quiet(30 * time.Second)
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

// killed is the death of a worker.
type killed struct {
	at   float64
	pids []int
}

// kills kills workers while both are busy, and counts what became of the tasks.
func (q *queueRun) kills(f *fleet) error {
	const each = 0.25 // seconds of a task
	var names []string
	for n := range q.n(16, 160) {
		names = append(names, fmt.Sprintf("kill%d", n))
	}
	var nothing struct{}
	if err := f.ask("begin", fields{"names": names, "seconds": each}, &nothing); err != nil {
		return err
	}
	if _, err := f.begun(names[3]); err != nil {
		return err
	}
	var deaths []killed
	dice := rand.New(rand.NewPCG(1, 1)) // the same workers for each peer
	for n := range q.n(1, 8) {
		if n > 0 {
			pause(time.Duration(1500+dice.IntN(500)) * time.Millisecond)
		}
		at := float64(time.Now().UnixNano()) / 1e9
		pids, err := f.kill(dice.IntN(2))
		if err != nil {
			return err
		}
		deaths = append(deaths, killed{at, pids})
	}
	var first, last struct{ Ends map[string]string }
	limit := float64(q.n(150, 240))
	if err := f.ask("ends", fields{"names": names, "limit": limit}, &first); err != nil {
		return err
	}
	if err := f.quiet(30 * time.Second); err != nil {
		return err
	}
	if err := f.ask("again", fields{"names": names}, &last); err != nil {
		return err
	}
	q.count(f, names, deaths, first.Ends, last.Ends)
	return nil
}

// count notes what the ledger and the client say after kills.
func (q *queueRun) count(f *fleet, names []string, deaths []killed, first, last map[string]string) {
	runs := map[string][]taskRun{}
	settled := 0.0
	for _, r := range f.runs() {
		if slices.Contains(names, r.name) {
			runs[r.name] = append(runs[r.name], r)
			settled = max(settled, r.end)
		}
	}
	var lost, failed, again, needless, changed float64
	var late []float64
	for _, name := range names {
		switch end := first[name]; {
		case end == "":
			lost++
		case strings.HasPrefix(end, "error: "):
			failed++
		case last[name] != end:
			changed++
		}
		for i, r := range runs[name] {
			death := slices.IndexFunc(deaths, func(k killed) bool { return r.end == 0 && r.of(k.pids) })
			if i+1 == len(runs[name]) {
				continue
			}
			again++
			if death < 0 {
				needless++
				continue
			}
			late = append(late, runs[name][i+1].begin-deaths[death].at)
		}
	}
	for row, figure := range map[string]float64{
		rowLost: lost, rowFailed: failed, rowAgain: again, rowNeedless: needless, rowChanged: changed,
		rowSettled: settled - deaths[len(deaths)-1].at,
	} {
		q.note(f, row, figure)
	}
	if len(late) > 0 {
		q.note(f, rowMedian, middle(late))
		q.note(f, rowLongest, slices.Max(late))
	}
}

// long runs a task that takes longer than the broker waits for a word of its worker.
func (q *queueRun) long(f *fleet) error {
	names := []string{"long"}
	seconds := q.n(12, 130)
	ends, err := f.finish(names, float64(seconds), float64(2*seconds))
	if err != nil {
		return err
	}
	// A second run has begun by now, and its end may come as late as this.
	if err := f.quiet(time.Duration(2*seconds) * time.Second); err != nil {
		return err
	}
	var last struct{ Ends map[string]string }
	if err := f.ask("again", fields{"names": names}, &last); err != nil {
		return err
	}
	count := 0
	for _, r := range f.runs() {
		if r.name == names[0] {
			count++
		}
	}
	different := 1
	if last.Ends[names[0]] != ends[names[0]] {
		different = 2
	}
	q.note(f, rowLong, float64(count))
	q.note(f, rowLongEnds, float64(different))
	return nil
}
