//go:build !linux

package httpapi

import "syscall"

// hungUp reports false, because this kernel does not tell without a read.
func hungUp(syscall.RawConn) bool { return false }
