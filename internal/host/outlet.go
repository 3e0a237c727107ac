package host

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Limits of an Outlet: how much it holds for a reader that is behind, how much of that it writes at
// once, and how long the end of the process waits for such a reader. A pipe that has any room takes
// atomicWrite bytes without blocking.
const (
	mostHeld    = 1 << 20
	atomicWrite = 4 << 10
	flushWait   = time.Second
)

// Outlet writes to a standard stream and never blocks. The reader of the stream may have stopped,
// and that must not delay answers to clients, which wait for the logs that belong to them. The
// outlet drops output that does not fit into its buffer, and writes a line about how much that was.
type Outlet struct {
	fd    int
	lacks func(lost int) []byte // returns the line that says how much is lost

	// Guards the rest, and the order of writes. Streams that may be the same pipe share it.
	mu      *sync.Mutex
	held    []byte
	lost    int
	drained chan struct{} // closed when the buffer is empty; nil while it is
}

// NewOutlet returns an Outlet for a standard stream. Streams that may be the same pipe share mu.
// With json, the line about lost output is a JSON object.
func NewOutlet(file *os.File, mu *sync.Mutex, json bool) *Outlet {
	o := &Outlet{fd: int(file.Fd()), lacks: missing, mu: mu}
	if json {
		o.lacks = missingJSON
	}
	return o
}

func missing(lost int) []byte {
	return fmt.Appendf(nil,
		"\ncoggo-server: %d bytes of output are missing here, because nobody read it\n", lost)
}

func missingJSON(lost int) []byte {
	var line bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&line, nil))
	log.Warn("output is missing here, because nobody read it", "bytes", lost)
	return line.Bytes()
}

// Write takes all of p and returns at once.
func (o *Outlet) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	rest := p
	if o.drained == nil {
		rest = p[o.pushLocked(p):]
	}
	switch {
	case len(rest) == 0:
		return len(p), nil
	case o.lost > 0 || len(o.held)+len(rest) > mostHeld:
		o.lost += len(rest)
	default:
		o.held = append(o.held, rest...)
	}
	if o.drained == nil {
		o.drained = make(chan struct{})
		go o.drain()
	}
	return len(p), nil
}

// pushLocked writes as much as the stream takes without blocking, and returns how much that was. A
// write that fails counts as written, because the error can't be reported to anybody.
func (o *Outlet) pushLocked(p []byte) (n int) {
	for n < len(p) && o.ready(0) {
		written, err := unix.Write(o.fd, p[n:min(len(p), n+atomicWrite)])
		switch err {
		case nil:
			n += written
		case unix.EINTR:
		case unix.EAGAIN:
			return n
		default:
			return len(p)
		}
	}
	return n
}

// ready waits up to limit milliseconds, for ever if limit is negative, and reports whether a write
// would not block.
func (o *Outlet) ready(limit int) bool {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(o.fd), Events: unix.POLLOUT}}, limit)
		if err != unix.EINTR {
			return n > 0 || err != nil
		}
	}
}

// drain writes the held bytes as the reader takes them. If the reader has stopped, it ends with the
// process.
func (o *Outlet) drain() {
	for {
		o.ready(-1)
		o.mu.Lock()
		o.held = o.held[o.pushLocked(o.held):]
		if len(o.held) == 0 && o.lost > 0 {
			o.held = o.lacks(o.lost)
			o.lost = 0
		}
		if len(o.held) == 0 {
			o.held = nil
			close(o.drained)
			o.drained = nil
			o.mu.Unlock()
			return
		}
		o.mu.Unlock()
	}
}

// Flush gives a reader that is behind a moment to take the held bytes.
func (o *Outlet) Flush() {
	o.mu.Lock()
	drained := o.drained
	o.mu.Unlock()
	if drained == nil {
		return
	}
	select {
	case <-drained:
	case <-time.After(flushWait):
	}
}
