package httpapi

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// hungUp reports whether the other end of a connection has closed it, or the connection is broken.
func hungUp(c syscall.RawConn) (is bool) {
	err := c.Control(func(fd uintptr) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}, 0)
		is = err == nil && n > 0
	})
	return is || err != nil // an error means that this end has closed it
}
