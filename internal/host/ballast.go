package host

import "runtime"

// BallastBytes is the size of the ballast.
const BallastBytes = 8 << 20

// Ballast allocates a part of the heap that is never touched. It returns a function that keeps it
// alive: call it at the end of main. The ballast takes addresses but no memory, and it counts as
// live heap.
//
// It is a trick, because it relies on the pacing of Go's collector:
//
//   - What it assumes: the collector runs when the heap has grown by GOGC percent of what is live
//     (Go 1.26), and an allocation that is never written takes no pages (Linux).
//   - If that is false: TestTheBallastMakesCollectionsRarer fails. In production the collector runs
//     more often, or the server takes 8 MiB more.
//   - What it buys: a live heap of 3 MB is collected each time that 3 MB were allocated, 22 times a
//     second with one client, and each run keeps both processors of a small machine busy for a
//     millisecond.
//   - How to switch it off: coggo-server --without ballast.
//
// debug.SetGCPercent does not serve: a percentage that is right for 3 MB of live heap lets the
// garbage of a server that holds 100 MB of outputs grow to a multiple of that. GOMEMLIMIT does not
// serve either: it is an upper limit, and this needs a lower one, which Go does not have.
func Ballast() (keep func()) {
	ballast := make([]byte, BallastBytes)
	return func() { runtime.KeepAlive(ballast) }
}
