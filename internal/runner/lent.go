package runner

import (
	"fmt"
	"math"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Lent is the pipe that the standard descriptors of the process lead to while a prediction runs alone. Each run has the pipe
// for itself: when the runner has taken the descriptors back and somebody can still write, that is what the run has left behind.
// The pipe goes to them then, with what they write to the server's log, and the next run gets a new one.
type Lent struct {
	open func() (fd int, err error) // a new pipe, not blocking
	late Sink                       // takes what was written after the end of its run

	mu     sync.Mutex // guards the rest
	in     *reader
	fd     int // -1 when there is none
	follow *following
	lent   bool // between Begin and End
	closed bool
	left   map[*following]bool // readers of pipes that somebody has kept
}

// following reads a pipe as it is written to.
type following struct {
	file *os.File
	done chan struct{}
}

func newLent(open func() (int, error), late Sink) (*Lent, error) {
	l := &Lent{open: open, late: late, fd: -1, left: map[*following]bool{}}
	return l, l.renewLocked()
}

func (l *Lent) renewLocked() (err error) {
	if l.fd, err = l.open(); err != nil {
		l.fd = -1
		return fmt.Errorf("make the pipe for logs: %w", err)
	}
	growPipe(uintptr(l.fd))
	l.in = &reader{sink: l.late, buf: make([]byte, 64<<10)}
	return nil
}

// Begin gives the pipe to a run, before the runner hears of it. An error means that there is no pipe.
func (l *Lent) Begin(sink Sink) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fd < 0 && !l.closed {
		if err := l.renewLocked(); err != nil {
			return err
		}
	}
	l.in.sink = sink
	l.lent = true
	return nil
}

// Follow passes on what the run writes as it comes, and not only at its end. It costs more than the whole of a short run. Where
// there is no descriptor for it, it passes on what there is and reports false: call it again, or the pipe fills.
func (l *Lent) Follow() (follows bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fd < 0 || l.follow != nil {
		return true
	}
	fd, err := unix.FcntlInt(uintptr(l.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		l.in.take(l.fd, pipeSize)
		return false
	}
	in := l.in
	l.follow = followFile(fd, func(fd int) bool {
		in.take(fd, math.MaxInt)
		return false // the model may have closed its descriptors, and a child may open them again
	})
	return true
}

// followFile calls take whenever there is something to read, until that reports the end. The descriptor is its own.
func followFile(fd int, take func(fd int) (ended bool)) *following {
	f := &following{file: os.NewFile(uintptr(fd), "logs"), done: make(chan struct{})}
	go func() {
		defer close(f.done)
		if raw, err := f.file.SyscallConn(); err == nil {
			_ = raw.Read(func(fd uintptr) bool { return take(int(fd)) })
		}
	}()
	return f
}

// end waits until nobody reads any more.
func (f *following) end() {
	_ = f.file.SetReadDeadline(time.Unix(1, 0))
	<-f.done
	_ = f.file.Close()
}

// End passes on everything that the run has written before the call. What comes later is passed to the server's log. A second
// call does nothing.
func (l *Lent) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.lent {
		return
	}
	l.lent = false
	if l.follow != nil {
		l.follow.end()
		l.follow = nil
	}
	if l.fd < 0 {
		return
	}
	ended := l.in.take(l.fd, pipeSize)
	l.in.mu.Lock()
	l.in.sink = l.late
	l.in.mu.Unlock()
	if !ended {
		l.leaveLocked()
	}
}

// leaveLocked lets those have the pipe who can still write to it.
func (l *Lent) leaveLocked() {
	in := l.in
	in.buf = append(make([]byte, 0, 4<<10), in.buf[:in.carry]...)[:4<<10]
	f := followFile(l.fd, func(fd int) bool { return in.take(fd, math.MaxInt) })
	l.fd = -1
	l.left[f] = true
	go func() {
		<-f.done
		_ = f.file.Close()
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.left, f)
	}()
	if !l.closed {
		_ = l.renewLocked() // Begin tries again
	}
}

// close ends what a run may still be writing and all readers: everything that could write is gone. From now on no pipe is made.
func (l *Lent) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.End()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fd >= 0 {
		_ = syscall.Close(l.fd)
		l.fd = -1
	}
	for f := range l.left {
		f.end()
	}
}
