package queue

import (
	"fmt"
	"testing"
)

func TestOnlyTheLatestSnapshotsForLateReadersAreInTheBroker(t *testing.T) {
	j, removed := &job{}, 0
	for n := range 10 {
		name := fmt.Sprint("past-", n)
		if _, known := j.lentPast(name); known {
			t.Fatalf("%s was stored before", name)
		}
		for range 2 { // two were asked for at once
			for _, old := range j.lendPast(name, payload{}) {
				if want := fmt.Sprint("past-", removed); old.name != want {
					t.Errorf("removed %s, not %s", old.name, want)
				}
				removed++
			}
		}
		if _, known := j.lentPast(name); !known {
			t.Errorf("%s is not there", name)
		}
	}
	if removed != 10-pastsLent {
		t.Errorf("removed %d of 10", removed)
	}
	j.left = true
	if void := j.lendPast("late", payload{}); len(void) != 1 || void[0].name != "late" {
		t.Errorf("what comes after the end stays: %v", void)
	}
}
