package queue

import (
	"strconv"
	"testing"
)

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
