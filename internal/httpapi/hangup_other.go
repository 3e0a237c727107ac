//go:build !linux

package httpapi

import "syscall"

// hungUp reports false: the kernel does not tell without a read.
func hungUp(syscall.RawConn) bool { return false }
