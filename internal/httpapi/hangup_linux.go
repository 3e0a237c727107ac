package httpapi

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// hungUp reports whether the other end of a connection is closed, or the connection broken.
func hungUp(c syscall.RawConn) (is bool) {
	err := c.Control(func(fd uintptr) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}, 0)
		is = err == nil && n > 0
	})
	return is || err != nil // it is closed on this end too
}
