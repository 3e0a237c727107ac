package runner

import (
	"math"
	"os"
	"sync"
	"syscall"
	"unicode/utf8"
)

// stream drains one output pipe of the process without limits on lines.
type stream struct {
	source string
	sink   Sink
	read   *os.File
	write  *os.File
	raw    syscall.RawConn

	mu    sync.Mutex // guards the order of reads and what follows
	buf   []byte
	carry int // bytes at the front of buf that began a character
}

// pipeSize lets a model print a good deal while the server is busy elsewhere.
const pipeSize = 1 << 20

func openStream(source string, sink Sink) (*stream, error) {
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
	growPipe(w, pipeSize)
	return &stream{source: source, sink: sink, read: r, write: w, raw: raw, buf: make([]byte, 64<<10)}, nil
}

// pump passes on what arrives until the stream is closed or every writer is gone.
func (s *stream) pump() {
	go func() {
		_ = s.raw.Read(func(fd uintptr) bool { return s.take(int(fd), math.MaxInt) })
	}()
}

// drain takes everything that was written before the call. That is no more than a pipe holds: what a noisy model writes
// meanwhile must not hold up the caller.
func (s *stream) drain() {
	_ = s.raw.Control(func(fd uintptr) { s.take(int(fd), pipeSize) })
}

// take reads until the pipe is empty, or most bytes were read. It reports whether the stream has ended.
func (s *stream) take(fd, most int) bool {
	for most > 0 {
		n, err := s.step(fd)
		if n <= 0 {
			return err != syscall.EAGAIN
		}
		most -= n
	}
	return false
}

// step reads once and passes on what there was. The lock is free between two steps, so that pump and drain take turns.
func (s *stream) step(fd int) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if n, err = syscall.Read(fd, s.buf[s.carry:]); err != syscall.EINTR {
			break
		}
	}
	switch {
	case n > 0:
		s.pass(s.carry+n, false)
	case err != syscall.EAGAIN:
		s.pass(s.carry, true)
	}
	return n, err
}

// pass gives the first n bytes of the buffer to the sink, but keeps the beginning of an unfinished character.
func (s *stream) pass(n int, last bool) {
	cut := n
	if !last {
		cut = wholeRunes(s.buf[:n])
	}
	if cut > 0 {
		s.sink(s.source, s.buf[:cut])
	}
	s.carry = copy(s.buf, s.buf[cut:n])
}

// wholeRunes is the length of b without a UTF-8 sequence that has begun at its end. Bytes that are no UTF-8 at all
// are not held back.
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

func (s *stream) closeWrite() { _ = s.write.Close() }

func (s *stream) close() {
	_ = s.write.Close()
	_ = s.read.Close()
}

// serial lets one source at a time into a Sink.
type serial struct{ mu sync.Mutex }

func (g *serial) wrap(sink Sink) Sink {
	return func(source string, text []byte) {
		g.mu.Lock()
		defer g.mu.Unlock()
		sink(source, text)
	}
}
