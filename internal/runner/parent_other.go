//go:build !linux

package runner

import "syscall"

// dieWithParent does nothing: the runner watches getppid where the kernel has no signal for it.
func dieWithParent(*syscall.SysProcAttr) {}

// deafen is worth its trouble on Linux only.
func deafen() (undo func()) { return func() {} }
