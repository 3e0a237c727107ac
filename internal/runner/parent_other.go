//go:build !linux

package runner

import (
	"os/exec"
	"syscall"
)

// dieWithParent does nothing: the runner watches getppid where the kernel has no signal for it.
func dieWithParent(*syscall.SysProcAttr) {}

// blockSignals does nothing, because only Linux chooses this thread for signals.
func blockSignals() (undo func()) { return func() {} }

// awaitExit waits until the process has exited.
func awaitExit(cmd *exec.Cmd) { _ = cmd.Wait() } // the result is in ProcessState
