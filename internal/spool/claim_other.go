//go:build !linux

package spool

// claimName claims nothing, because abstract sockets exist on Linux only.
func claimName(string) (release func(), free bool) { return func() {}, true }
