//go:build !linux

package httpapi

import "net"

// unsent is not known: only what the kernel takes from the server counts.
func unsent(*net.TCPConn) int { return 0 }
