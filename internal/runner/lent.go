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

// Lent holds the pipes that the standard descriptors of the process lead to while a prediction runs
// alone: one for both, or with Config.Apart one each.
type Lent struct {
	names []string // of the streams
	pipes []*lentPipe
}

func newLent(open func(stream string) (int, error), names []string, late Sink) (*Lent, error) {
	l := &Lent{names: names}
	for _, name := range names {
		p, err := newLentPipe(func() (int, error) { return open(name) }, late.of(name))
		if err != nil {
			l.close()
			return nil, err
		}
		l.pipes = append(l.pipes, p)
	}
	return l, nil
}

// Begin gives the pipes to a run, before the runner gets its request. An error means that there
// isn't a pipe.
func (l *Lent) Begin(sink Sink) error {
	for i, p := range l.pipes {
		if err := p.begin(sink.of(l.names[i])); err != nil {
			return err
		}
	}
	return nil
}

// Follow forwards the run's output as it is written, not only at its end. It costs more than the
// whole of a short run. If it cannot get a descriptor, it forwards the contents of the pipe and
// reports false: call it again, or the pipe fills.
func (l *Lent) Follow() (follows bool) {
	follows = true
	for _, p := range l.pipes {
		follows = p.followRun() && follows
	}
	return follows
}

// End forwards everything that the run has written before the call. Later output goes to the
// server's log. A second call does nothing.
func (l *Lent) End() {
	for _, p := range l.pipes {
		p.endRun()
	}
}

func (l *Lent) close() {
	for _, p := range l.pipes {
		p.close()
	}
}

// lentPipe is one of these pipes. Only one run has it at a time. If a process can still write to
// the pipe after the runner has taken the descriptors back, the run has left that process behind:
// it keeps the pipe, the server's log gets its output, and the next run gets a new pipe.
type lentPipe struct {
	open func() (fd int, err error) // a new pipe, not blocking
	late func([]byte)               // gets the output after the end of a run

	mu     sync.Mutex // guards the rest
	in     *reader
	fd     int // -1: no pipe
	follow *following
	lent   bool // between begin and endRun
	closed bool
	left   map[*following]bool // readers of pipes that a process has kept
}

// following reads a pipe as it is written to.
type following struct {
	file *os.File
	done chan struct{}
}

func newLentPipe(open func() (int, error), late func([]byte)) (*lentPipe, error) {
	l := &lentPipe{open: open, late: late, fd: -1, left: map[*following]bool{}}
	return l, l.renewLocked()
}

func (l *lentPipe) renewLocked() (err error) {
	if l.fd, err = l.open(); err != nil {
		l.fd = -1
		return fmt.Errorf("make the pipe for logs: %w", err)
	}
	growPipe(uintptr(l.fd))
	l.in = &reader{sink: l.late, buf: make([]byte, bufferSize)}
	return nil
}

func (l *lentPipe) begin(sink func([]byte)) error {
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

func (l *lentPipe) followRun() (follows bool) {
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

// followFile calls take whenever there is something to read, until take reports the end. It owns
// the descriptor.
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

// end stops the reader and waits for it.
func (f *following) end() {
	_ = f.file.SetReadDeadline(time.Unix(1, 0))
	<-f.done
	_ = f.file.Close()
}

func (l *lentPipe) endRun() {
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

// leaveLocked leaves the pipe to the processes that can still write to it.
func (l *lentPipe) leaveLocked() {
	in := l.in
	in.buf = append(make([]byte, 0, leftBufferSize), in.buf[:in.carry]...)[:leftBufferSize]
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
		_ = l.renewLocked() // begin tries again
	}
}

// close ends the run, if one has the pipe, and all readers: every process that could write has
// exited. Afterwards no pipe is made.
func (l *lentPipe) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.endRun()
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
