// Package sigmute lets the kernel drop signals that this process handles, and deliver them again.
//
// It is a trick, because it changes the disposition of a signal behind the back of the Go runtime:
//
//   - What it assumes: Go installs its handler once, when signal.Notify is first called for a signal
//     (runtime/signal_unix.go of Go 1.26), and does not care if the kernel delivers none. The struct
//     for rt_sigaction(2) starts with the handler and is passed with a mask of 8 bytes.
//   - If that is false: TestAMutedSignalIsDroppedUntilItIsUnmuted fails. In production the signal
//     would stay dropped or delivered. Both are harmless here: the signals that are muted carry no
//     information that the files don't, and the supervisor lists the directory once a second anyway.
//   - What it buys: a caught signal wakes a thread, and waking twice per prediction was 5 % of the
//     latency of a short one (docs/decisions/0008).
//   - How to switch it off: coggo-server --without sigmute.
//
// signal.Ignore does not serve: Go forgets its handler first, and a signal that is in flight at
// that moment would end the process. A child does not inherit the mute, because Go gives each child
// the default handlers of the signals that it handles itself.
package sigmute

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Signal is a signal that this process handles with signal.Notify, and that can be muted. It is not
// safe for use by several goroutines at once.
type Signal struct {
	number  syscall.Signal
	handler sigaction // Go's, valid while muted
	muted   bool
}

// New returns a Signal that is not muted.
func New(s syscall.Signal) *Signal { return &Signal{number: s} }

// sigaction is the argument of rt_sigaction(2). The fields after the handler differ between
// architectures; Signal only gives them back.
type sigaction struct {
	handler, flags, restorer uintptr
	mask                     uint64
}

const sigIgn = 1 // SIG_IGN

// Mute lets the kernel drop the signal, or deliver it again. Call signal.Notify first.
func (s *Signal) Mute(mute bool) {
	switch {
	case s.muted == mute:
		return
	case mute:
		s.exchange(&sigaction{handler: sigIgn}, &s.handler)
	default:
		s.exchange(&s.handler, nil)
	}
	s.muted = mute
}

// exchange sets an action and returns the one before. It fails only for wrong arguments.
func (s *Signal) exchange(set, old *sigaction) {
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s.number),
		uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)),
		unsafe.Sizeof(sigaction{}.mask), 0, 0)
}
