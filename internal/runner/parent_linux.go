package runner

import (
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// dieWithParent covers the time until the runner has asked for the same thing by itself.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }

// deafen keeps the runner's signals from the calling thread: the kernel would often choose it,
// because it only waits, and each time it would have to wait anew. What it returns undoes that.
func deafen() (undo func()) {
	var signals, before unix.Sigset_t
	for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2} {
		signals.Val[0] |= 1 << (s - 1)
	}
	if unix.PthreadSigmask(unix.SIG_BLOCK, &signals, &before) != nil {
		return func() {}
	}
	return func() { _ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil) }
}

// awaitEnd waits until the process has ended, and leaves it to the kernel until somebody waits for
// it again.
func awaitEnd(cmd *exec.Cmd) {
	for unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}
