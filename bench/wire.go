package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// wires are the kept-alive connections to one server. The caller itself writes and reads. Because
// net/http's client has two goroutines for each connection, the switches between them and the
// caller's took up to half of a short prediction on two processors.
type wires struct {
	address string

	mu       sync.Mutex // guards the fields below
	blocking bool
	idle     []*wire
}

type wire struct {
	io.ReadWriteCloser
	blocking bool // its system calls block, as in a client in C
	reader   *bufio.Reader
	since    time.Time // when it became idle
}

const (
	wireTimeout = time.Minute // for a whole exchange
	wireIdle    = time.Second // some servers close a connection that is idle for five
	smallBody   = 64 << 10    // a smaller body is sent with the head
)

// block makes the connections block in the system call, each in its own thread. Go would sleep in
// epoll and wake the threads of its runtime for each answer. That took 30 µs of the processor that
// a single client shares with the server.
func (p *wires) block(blocking bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.blocking != blocking {
		p.blocking = blocking
		p.dropLocked()
	}
}

// do sends one request. The caller reads the body of the answer to its end and closes it.
func (p *wires) do(method, path, body string, header ...string) (*http.Response, error) {
	w, err := p.get()
	if err != nil {
		return nil, err
	}
	head := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, p.address)
	for i := 0; i < len(header); i += 2 {
		head = fmt.Appendf(head, "%s: %s\r\n", header[i], header[i+1])
	}
	if body != "" {
		head = append(head, "Content-Type: application/json\r\n"...)
	}
	if method != http.MethodGet {
		head = fmt.Appendf(head, "Content-Length: %d\r\n", len(body))
	}
	head = append(head, "\r\n"...)
	resp, err := w.exchange(method, head, body)
	if err != nil {
		_ = w.Close()
		return nil, err
	}
	resp.Body = &received{ReadCloser: resp.Body, from: p, wire: w, keep: !resp.Close}
	return resp, nil
}

func (w *wire) exchange(method string, head []byte, body string) (*http.Response, error) {
	if c, ok := w.ReadWriteCloser.(net.Conn); ok {
		if err := c.SetDeadline(time.Now().Add(wireTimeout)); err != nil {
			return nil, err
		}
	}
	if len(body) <= smallBody {
		head, body = append(head, body...), ""
	}
	if _, err := w.Write(head); err != nil {
		return nil, err
	}
	raw := unsafe.Slice(unsafe.StringData(body), len(body)) // does not copy a large body
	if _, err := w.Write(raw); body != "" && err != nil {
		return nil, err
	}
	return http.ReadResponse(w.reader, &http.Request{Method: method})
}

func (p *wires) get() (*wire, error) {
	w, blocking := p.take()
	if w != nil {
		return w, nil
	}
	c, err := net.Dial("tcp", p.address)
	if err != nil {
		return nil, err
	}
	w = &wire{ReadWriteCloser: c, blocking: blocking}
	if blocking {
		w.ReadWriteCloser, err = waiting(c.(*net.TCPConn))
	}
	w.reader = bufio.NewReader(w.ReadWriteCloser)
	return w, err
}

// waiting returns the same connection with blocking system calls.
func waiting(c *net.TCPConn) (*os.File, error) {
	defer c.Close()
	f, err := c.File() // a copy
	if err != nil {
		return nil, err
	}
	limit := syscall.NsecToTimeval(int64(wireTimeout))
	fd := int(f.Fd()) // Fd makes it blocking
	return f, errors.Join(
		syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &limit),
		syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &limit),
	)
}

// take returns an idle connection, or nil, and whether connections block now.
func (p *wires) take() (*wire, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		w := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if time.Since(w.since) < wireIdle {
			return w, p.blocking
		}
		_ = w.Close()
	}
	return nil, p.blocking
}

func (p *wires) put(w *wire) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.blocking != p.blocking {
		_ = w.Close()
		return
	}
	w.since = time.Now()
	p.idle = append(p.idle, w)
}

// close closes the idle connections.
func (p *wires) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dropLocked()
}

func (p *wires) dropLocked() {
	for _, w := range p.idle {
		_ = w.Close()
	}
	p.idle = nil
}

// received is the body of an answer. At its end the connection is free for another request.
type received struct {
	io.ReadCloser
	from  *wires
	wire  *wire
	keep  bool
	ended bool
}

func (b *received) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.ended = b.ended || err == io.EOF
	return n, err
}

func (b *received) Close() error {
	if b.keep && b.ended {
		b.from.put(b.wire)
		return nil
	}
	return b.wire.Close()
}
