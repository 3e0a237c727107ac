//go:build !linux

package host

import "runtime/debug"

// ReleaseBootMemory returns the garbage of startup to the kernel.
func ReleaseBootMemory(bool) { debug.FreeOSMemory() }
