package host_test

import (
	"runtime"
	"testing"

	"github.com/coggo/coggo/internal/host"
)

// heapGoal is the size of the heap at which the collector runs next. Unlike the number of runs, it
// does not depend on how busy the machine is.
func heapGoal() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.NextGC
}

func TestTheBallastMakesCollectionsRarer(t *testing.T) {
	without := heapGoal()
	keep := host.Ballast()
	with := heapGoal()
	keep()
	if with < without+host.BallastBytes {
		t.Errorf("the collector runs at %d bytes with the ballast and at %d without", with, without)
	}
}
