package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
	"unsafe"
)

// wires are the kept-alive connections to one server. net/http's client has two goroutines for each connection: on two
// processors the switches between them and the caller's took up to half of a short prediction. Here the caller writes and reads.
type wires struct {
	address string

	mu   sync.Mutex // guards idle
	idle []*wire
}

type wire struct {
	net.Conn
	reader *bufio.Reader
	since  time.Time // when it became idle
}

const (
	wireTimeout = time.Minute // for a whole exchange
	wireIdle    = time.Second // some servers close a connection that is idle for five
)

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
	if err := w.SetDeadline(time.Now().Add(wireTimeout)); err != nil {
		return nil, err
	}
	parts := net.Buffers{head, unsafe.Slice(unsafe.StringData(body), len(body))} // a large body is not copied
	if _, err := parts.WriteTo(w.Conn); err != nil {
		return nil, err
	}
	return http.ReadResponse(w.reader, &http.Request{Method: method})
}

func (p *wires) get() (*wire, error) {
	if w := p.take(); w != nil {
		return w, nil
	}
	c, err := net.Dial("tcp", p.address)
	if err != nil {
		return nil, err
	}
	return &wire{Conn: c, reader: bufio.NewReader(c)}, nil
}

// take returns an idle connection, nil when there is none.
func (p *wires) take() *wire {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		w := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if time.Since(w.since) < wireIdle {
			return w
		}
		_ = w.Close()
	}
	return nil
}

func (p *wires) put(w *wire) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.since = time.Now()
	p.idle = append(p.idle, w)
}

// close closes the idle connections.
func (p *wires) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.idle {
		_ = w.Close()
	}
	p.idle = nil
}

// received is the body of an answer; with its end the connection is free for another request.
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
