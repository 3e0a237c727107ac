package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// trial returns a run with a fleet of each name, of which nothing runs. Their ledgers are empty.
func trial(t *testing.T, names ...string) (*queueRun, []*fleet) {
	t.Helper()
	q := &queueRun{}
	q.begin()
	var fleets []*fleet
	for _, name := range names {
		q.report.Systems = append(q.report.Systems, name)
		fleets = append(fleets, &fleet{peer: &peer{name: name}, dir: t.TempDir()})
	}
	return q, fleets
}

func (f *fleet) hasRun(t *testing.T, ledger string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, "runs"), []byte(ledger), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTheTimeUntilTheLastEndNeedsAllEndsAndOneAfterTheLastKill(t *testing.T) {
	for _, row := range []struct{ name, ledger, end, settled, late string }{
		{
			"none ran again", "begin a r1 7 1 10.0\n", "",
			"– (1 without an end)", "– (none ran again)",
		},
		{
			"nothing was hit", "begin a r1 7 1 5.0\nend a r1 7 1 5.25\n", "r1",
			"– (all had ended before it)", "– (no kill met a task)",
		},
		{
			"it ran again", "begin a r1 7 1 10.0\nbegin a r2 8 1 14.0\nend a r2 8 1 14.25\n", "r2",
			"3.25", "3.00",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			q, fleets := trial(t, "coggo")
			fleets[0].hasRun(t, row.ledger)
			ends := map[string]string{"a": row.end}
			q.count(fleets[0], []string{"a"}, []killed{{at: 11, pids: []int{7}}}, ends, ends)
			if got := q.row(rowSettled).cell("coggo"); got != row.settled {
				t.Errorf("settled: %s, want %s", got, row.settled)
			}
			if got := q.row(rowMedian).cell("coggo"); got != row.late {
				t.Errorf("runs again: %s, want %s", got, row.late)
			}
		})
	}
}

func TestAWorkloadThatFailsForOnePeerKeepsAllOtherRows(t *testing.T) {
	q, fleets := trial(t, "coggo", "celery")
	q.note(fleets[1], rowP50, 4)
	q.together(fleets, part{func(f *fleet) error {
		if f.name == "celery" {
			return errors.New("it is broken")
		}
		q.note(f, rowStopped, 5)
		return nil
	}, []string{rowStopped}})
	for _, want := range []struct{ row, name, cell string }{
		{rowP50, "celery", "4.00"}, {rowStopped, "celery", "failed"}, {rowStopped, "coggo", "5.00"},
	} {
		if got := q.row(want.row).cell(want.name); got != want.cell {
			t.Errorf("%s, %s: %s, want %s", want.row, want.name, got, want.cell)
		}
	}
	if q.failed != nil {
		t.Errorf("the run fails for a peer: %v", q.failed)
	}
	q.fail(fleets[0], []string{rowLong}, errors.New("it is broken"))
	if q.failed == nil {
		t.Error("the run does not fail for Coggo")
	}
}

func TestARoundThatIsLeftOutKeepsThePairsOfTheOthers(t *testing.T) {
	q, fleets := trial(t, "coggo", "celery")
	for _, figure := range []float64{1, 10, 100, 1000} {
		q.note(fleets[0], rowP50, figure)
	}
	q.note(fleets[1], rowP50, 2)
	q.leaveOut(fleets[1], []string{rowP50}, 1, errors.New("1 no-op without an end"))
	q.note(fleets[1], rowP50, 200)
	q.note(fleets[1], rowP50, 2000)
	row := *q.row(rowP50)
	if got := q.report.ratio(row); got != "0.50 × celery" {
		t.Error(got)
	}
	if got := row.cell("celery"); !strings.HasSuffix(got, ", 1 left out") {
		t.Error(got)
	}
}

func TestCountsAreComparedWhereLessIsBetter(t *testing.T) {
	for _, row := range []struct {
		name       string
		own, other float64
		want       string
	}{
		{rowLost, 0, 0, "equal"}, {rowLost, 2, 0, "2 against 0"}, {rowLost, 0, 4, "0.00 × rq"},
		{rowLong, 1, 1, "equal"}, {rowLong, 1, 2, "0.50 × rq"}, {rowAgain, 8, 0, "–"},
	} {
		q, fleets := trial(t, "coggo", "rq")
		q.note(fleets[0], row.name, row.own)
		q.note(fleets[1], row.name, row.other)
		if got := q.report.ratio(*q.row(row.name)); got != row.want {
			t.Errorf("%s, %v and %v: %s, want %s", row.name, row.own, row.other, got, row.want)
		}
	}
}

func TestNoOpsWithoutAnEndAreCountedOverAllRounds(t *testing.T) {
	q, fleets := trial(t, "taskiq")
	for _, r := range []noOps{{Unended: 1}, {}, {Unended: 2, Wrong: 3}} {
		q.missed(fleets[0], r)
	}
	if got := q.row(rowUnended).cell("taskiq"); got != "3, 3 wrong" {
		t.Error(got)
	}
}
