//go:build !linux

package main

import "runtime/debug"

// giveBack returns what only the boot needed.
func giveBack() { debug.FreeOSMemory() }
