//go:build !linux

package runner

import "syscall"

// dieWithParent does nothing: the runner watches getppid where the kernel has no signal for it.
func dieWithParent(*syscall.SysProcAttr) {}
