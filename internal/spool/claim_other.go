//go:build !linux

package spool

// claimName claims nothing: there are no abstract sockets here.
func claimName(string) (release func(), free bool) { return func() {}, true }
