package runner

import (
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// dieWithParent makes the kernel kill the runner when the thread that started it exits, see live.
// It covers the time until the runner itself asks for the same.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }

// blockSignals blocks the runner's signals on the calling thread: because it only waits, the kernel
// would often choose it, and each signal would interrupt its wait. undo unblocks them.
func blockSignals() (undo func()) {
	var signals, before unix.Sigset_t
	for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2} {
		signals.Val[0] |= 1 << (s - 1)
	}
	if unix.PthreadSigmask(unix.SIG_BLOCK, &signals, &before) != nil {
		return func() {}
	}
	return func() { _ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil) }
}

// awaitExit waits until the process has exited. The process stays a zombie until reap.
func awaitExit(cmd *exec.Cmd) {
	pid := cmd.Process.Pid
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}
