package supervisor

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// deafness lets the kernel drop signals before they reach this process, and hear them again. A
// signal that is caught in vain still wakes a thread, which takes the processor from whoever makes
// the answer.
//
// It is not signal.Ignore: there Go forgets its handler first, and a signal that was under way at
// that moment would end the process. Here Go knows nothing of it and is ready at any time; nor does
// a child inherit it, as Go gives each the default handlers of what it handles itself.
type deafness struct {
	signal syscall.Signal
	heard  sigaction // Go's handler, known once it was deaf
	deaf   bool
}

// sigaction is what rt_sigaction(2) takes. What comes after the handler differs between
// architectures; it is only given back.
type sigaction struct {
	handler, flags, restorer uintptr
	mask                     uint64
}

const sigIgn = 1 // SIG_IGN

// set is called with Supervisor.mu held, once Go handles the signal.
func (d *deafness) set(deaf bool) {
	switch {
	case d.deaf == deaf:
		return
	case deaf:
		d.exchange(&sigaction{handler: sigIgn}, &d.heard)
	default:
		d.exchange(&d.heard, nil)
	}
	d.deaf = deaf
}

func (d *deafness) exchange(new, old *sigaction) {
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(d.signal), uintptr(unsafe.Pointer(new)), uintptr(unsafe.Pointer(old)),
		unsafe.Sizeof(sigaction{}.mask), 0, 0) // fails for wrong arguments only
}
