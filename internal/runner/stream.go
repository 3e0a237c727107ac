package runner

import (
	"errors"
	"math"
	"os"
	"sync"
	"syscall"
	"unicode/utf8"
)

const (
	pipeSize       = 1 << 20  // bytes that a model can print while the server is busy
	bufferSize     = 64 << 10 // bytes of one read: the size of a pipe that was not enlarged
	leftBufferSize = 4 << 10  // the same for a pipe that a process has kept: there may be many
)

// reader reads a pipe without a limit on lines, and forwards the bytes cut only between characters.
type reader struct {
	sink func(text []byte)

	mu    sync.Mutex // guards the order of reads and the fields below
	buf   []byte
	carry int // bytes at the front of buf that began a character
}

// take reads until the pipe is empty, or most bytes were read. It reports whether every writer has
// closed the pipe.
func (r *reader) take(fd, most int) (ended bool) {
	for most > 0 {
		n, err := r.step(fd)
		if n <= 0 {
			return !errors.Is(err, syscall.EAGAIN)
		}
		most -= n
	}
	return false
}

// step reads once and forwards the bytes. The lock is free between two steps, so that several
// callers take turns.
func (r *reader) step(fd int) (n int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		if n, err = syscall.Read(fd, r.buf[r.carry:]); err != syscall.EINTR {
			break
		}
	}
	switch {
	case n > 0:
		r.forward(r.carry+n, false)
	case err != syscall.EAGAIN:
		r.forward(r.carry, true)
	}
	return n, err
}

// forward gives the first n bytes of the buffer to the sink, but keeps the beginning of an
// unfinished character.
func (r *reader) forward(n int, last bool) {
	cut := n
	if !last {
		cut = wholeRunes(r.buf[:n])
	}
	if cut > 0 {
		r.sink(r.buf[:cut])
	}
	r.carry = copy(r.buf, r.buf[cut:n])
}

// wholeRunes returns the length of b without an incomplete UTF-8 sequence at its end. It does not
// hold back bytes that cannot become UTF-8.
func wholeRunes(b []byte) int {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if c := b[len(b)-i]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(b[len(b)-i:]) {
				return len(b) - i
			}
			break
		}
	}
	return len(b)
}

// stream is the pipe that is the standard output and standard error of the process: one for both,
// which keeps their order.
type stream struct {
	reader
	read  *os.File
	write *os.File
	raw   syscall.RawConn
}

func openStream(sink func(text []byte)) (*stream, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	raw, err := r.SyscallConn()
	if err != nil {
		_ = r.Close()
		_ = w.Close()
		return nil, err
	}
	growPipe(w.Fd())
	s := &stream{read: r, write: w, raw: raw}
	s.sink, s.buf = sink, make([]byte, bufferSize)
	return s, nil
}

// pump forwards the output until the stream is closed or every writer has closed its end.
func (s *stream) pump() {
	go func() {
		_ = s.raw.Read(func(fd uintptr) bool { return s.take(int(fd), math.MaxInt) })
	}()
}

// drain forwards everything that was written before the call: at most what a pipe holds, because
// the output of a noisy model in the meantime must not hold up the caller.
func (s *stream) drain() {
	_ = s.raw.Control(func(fd uintptr) { s.take(int(fd), pipeSize) })
}

func (s *stream) closeWrite() { _ = s.write.Close() }

func (s *stream) close() {
	_ = s.write.Close()
	_ = s.read.Close()
}
