//go:build !linux

package supervisor

import "runtime"

// yield lets other goroutines use this processor.
func yield() { runtime.Gosched() }
