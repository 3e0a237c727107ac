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
