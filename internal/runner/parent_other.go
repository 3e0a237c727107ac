//go:build !linux

package runner

import (
	"os/exec"
	"syscall"
)

// dieWithParent does nothing: the runner watches getppid where the kernel has no signal for it.
func dieWithParent(*syscall.SysProcAttr) {}

// blockSignals is worth its trouble on Linux only.
func blockSignals() (undo func()) { return func() {} }

// awaitExit waits for the end of the process.
func awaitExit(cmd *exec.Cmd) { _ = cmd.Wait() } // what it says is in ProcessState
