package queue

import (
	"strconv"
	"testing"

	"github.com/nats-io/nats.go"
)

// The sequence of a claim is its fencing token: with that of another claim, the end of a worker that
// has lost the run would replace another end.
func TestACancelChangesTheSequenceOfTheClaimThatItIsNotedInAlone(t *testing.T) {
	for name, row := range map[string]struct {
		change func(told *state)
		want   uint64
	}{
		"this claim":       {func(*state) {}, 12},
		"another worker":   {func(told *state) { told.owner = "w2" }, 9},
		"an earlier claim": {func(told *state) { told.turn-- }, 9},
		"a later claim":    {func(told *state) { told.turn++ }, 9},
		"an older message": {func(told *state) { told.seq = 8 }, 9},
	} {
		t.Run(name, func(t *testing.T) {
			j, told := &job{claim: stateOfRun(claimed)}, stateOfRun(claimed)
			told.seq, told.cancel = 12, "client"
			row.change(&told)
			j.hearCancel(nil, &nats.Msg{Header: told.tellCanceled().Header})
			j.takeNoted()
			if j.claim.seq != row.want || (j.claim.cancel != "") != (row.want == 12) {
				t.Errorf("the claim is %+v", j.claim)
			}
		})
	}
}

func TestTheRunsThatEndedLastAreKnown(t *testing.T) {
	var runs recentRuns
	if runs.has("0") {
		t.Error("a run is known before it has ended")
	}
	for n := range 1000 {
		runs.add(strconv.Itoa(n))
	}
	for run, want := range map[string]bool{"0": false, "743": false, "744": true, "999": true} {
		if runs.has(run) != want {
			t.Errorf("run %s is known: %v, want %v", run, !want, want)
		}
	}
	if len(runs.known) != len(runs.latest) {
		t.Errorf("%d runs are known", len(runs.known))
	}
}
