//go:build !linux

package host

import "runtime/debug"

// ReleaseBootMemory returns garbage of startup to the kernel.
func ReleaseBootMemory(bool) { debug.FreeOSMemory() }
