package host_test

import (
	"runtime"
	"testing"

	"github.com/coggo/coggo/internal/host"
)

var sink []byte

// collections is how often the collector runs while 64 MiB are allocated and dropped.
func collections() uint32 {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 64 << 10 {
		sink = make([]byte, 1<<10)
	}
	runtime.ReadMemStats(&after)
	return after.NumGC - before.NumGC
}

func TestTheBallastMakesCollectionsRarer(t *testing.T) {
	without := collections()
	keep := host.Ballast()
	with := collections()
	keep()
	if with*2 > without {
		t.Errorf("the collector ran %d times with the ballast and %d times without", with, without)
	}
}
