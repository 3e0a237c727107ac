package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

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

// noOps is what the client says about no-ops.
type noOps struct {
	Took              []float64
	Accepted, Seconds float64
	Unended, Wrong    int
}

// speed measures no-ops. A client that misses an output leaves a measurement out of this round.
func (q *queueRun) speed(f *fleet, round int) {
	n, crowd := q.n(20, 100), q.n(50, 300)
	const limit = 120 // seconds, of which the slowest peer needs a fraction
	for _, m := range []struct {
		do      string
		given   fields
		rows    []string
		figures func(noOps) []float64
	}{
		{"run", fields{"n": n, "in_flight": 1, "limit": limit}, []string{rowP50, rowP99}, func(r noOps) []float64 {
			slices.Sort(r.Took)
			return []float64{1e3 * r.Took[n/2], 1e3 * r.Took[n*99/100]}
		}},
		{"run", fields{"n": crowd, "in_flight": 32, "limit": limit}, []string{rowFinished}, func(r noOps) []float64 {
			return []float64{float64(crowd) / r.Seconds}
		}},
		{"pile", fields{"n": crowd, "limit": limit}, []string{rowAccepted, rowDrained}, func(r noOps) []float64 {
			return []float64{float64(crowd) / r.Accepted, float64(crowd) / r.Seconds}
		}},
	} {
		var r noOps
		err := f.ask(m.do, m.given, &r)
		q.missed(f, r)
		if r.Unended+r.Wrong > 0 {
			err = fmt.Errorf("%d no-ops without an end, %d with a wrong one", r.Unended, r.Wrong)
		}
		if err != nil {
			q.leaveOut(f, m.rows, round, err)
			continue
		}
		for i, figure := range m.figures(r) {
			if round >= 0 {
				q.note(f, m.rows[i], figure)
			}
		}
	}
}

// missed counts the no-ops that have no end, or a wrong one.
func (q *queueRun) missed(f *fleet, r noOps) {
	q.mu.Lock()
	defer q.mu.Unlock()
	row := q.row(rowUnended)
	row.Wrong[f.name] += r.Wrong
	if len(row.Samples[f.name]) == 0 {
		row.Samples[f.name] = []float64{0}
	}
	row.Samples[f.name][0] += float64(r.Unended)
}

// leaveOut leaves one round of a peer out of some rows.
func (q *queueRun) leaveOut(f *fleet, rows []string, round int, err error) {
	q.fail(f, rows, fmt.Errorf("round %d: %w", round+1, err))
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, row := range rows {
		if round >= 0 {
			q.row(row).LeftOut[f.name] = append(q.row(row).LeftOut[f.name], round)
		}
	}
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
			q.lacks(f, rowStopped, "it does not")
			break
		}
		q.note(f, rowStopped, ms(time.Since(start)))
	}
	return f.quiet(30 * time.Second)
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
	var lost, failed, changed float64
	for _, name := range names {
		switch end := first[name]; {
		case end == "":
			lost++
		case strings.HasPrefix(end, "error: "):
			failed++
		case last[name] != end:
			changed++
		}
	}
	q.note(f, rowLost, lost)
	q.note(f, rowFailed, failed)
	q.note(f, rowChanged, changed)
	runs := slices.DeleteFunc(f.runs(), func(r taskRun) bool { return !slices.Contains(names, r.name) })
	q.countRuns(f, runs, deaths)
	settled := 0.0
	for _, r := range runs {
		settled = max(settled, r.end-deaths[len(deaths)-1].at)
	}
	switch {
	case lost > 0:
		q.lacks(f, rowSettled, fmt.Sprintf("%.0f without an end", lost))
	case settled <= 0:
		q.lacks(f, rowSettled, "all had ended before it")
	default:
		q.note(f, rowSettled, settled)
	}
}

// countRuns notes which of the runs, in the order of their begin, were not the only one of their
// task.
func (q *queueRun) countRuns(f *fleet, runs []taskRun, deaths []killed) {
	var again, needless float64
	var late []float64
	met := false // whether a task was running in a worker that was killed
	for i, r := range runs {
		death := slices.IndexFunc(deaths, func(k killed) bool { return r.end == 0 && r.of(k.pids) })
		met = met || death >= 0
		next := slices.IndexFunc(runs[i+1:], func(o taskRun) bool { return o.name == r.name })
		if next < 0 {
			continue
		}
		again++
		if death < 0 {
			needless++
			continue
		}
		late = append(late, runs[i+1+next].begin-deaths[death].at)
	}
	q.note(f, rowAgain, again)
	q.note(f, rowNeedless, needless)
	if len(late) > 0 {
		q.note(f, rowMedian, middle(late))
		q.note(f, rowLongest, slices.Max(late))
		return
	}
	why := "no kill met a task"
	if met {
		why = "none ran again"
	}
	q.lacks(f, rowMedian, why)
	q.lacks(f, rowLongest, why)
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
	q.note(f, rowLong, float64(count))
	switch end := ends[names[0]]; {
	case end == "":
		q.lacks(f, rowLongEnds, "without an end")
	case last.Ends[names[0]] != end:
		q.note(f, rowLongEnds, 2)
	default:
		q.note(f, rowLongEnds, 1)
	}
	return nil
}
