//go:build !linux

package runner

import (
	"os/exec"
	"syscall"
)

// dieWithParent does nothing: the runner watches getppid where the kernel has no signal for it.
func dieWithParent(*syscall.SysProcAttr) {}

// deafen is worth its trouble on Linux only.
func deafen() (undo func()) { return func() {} }

// awaitEnd waits for the end of the process.
func awaitEnd(cmd *exec.Cmd) { _ = cmd.Wait() } // what it says is in ProcessState
