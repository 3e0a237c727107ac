package httpapi

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// Listener stands between net/http and its connections. It refuses requests whose end is not clear
// (framing.go, http2.go), rewrites the plain-text errors that net/http sends itself as JSON, and
// counts the bytes that clients take.
type Listener struct {
	net.Listener
	// How long a client may read nothing before its connection is closed.
	StreamTimeout time.Duration
	// For the headers of a request of HTTP/2; 0: no limit.
	headerTimeout time.Duration
	sent          atomic.Int64
}

// Sent returns the number of bytes that clients have taken on all connections.
func (l *Listener) Sent() int64 { return l.sent.Load() }

// Accept waits for the next connection.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		return &conn{TCPConn: tcp, listener: l}, nil
	}
	return c, err
}

// Serve lets s serve the connections of l. It sets ConnContext, ConnState, Protocols and HTTP2 of
// s. On a connection of HTTP/1, the handler writes from its call until net/http has sent the whole
// answer and calls the connection idle. At any other time net/http itself writes.
func (l *Listener) Serve(s *http.Server) error {
	speakHTTP2(s)
	l.headerTimeout = s.ReadHeaderTimeout
	next := s.Handler
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c)
	}
	s.ConnState = func(c net.Conn, state http.ConnState) {
		if c, ok := c.(*conn); ok && state == http.StateIdle {
			c.answering.Store(false)
		}
	}
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*conn); ok {
			if c.frames != nil {
				l.serveHTTP2(next, w, r)
				return
			}
			c.answering.Store(true)
		}
		if len(r.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close") // net/http is lenient about chunks
		}
		next.ServeHTTP(w, r)
	})
	return s.Serve(l)
}

type connKey struct{}

type conn struct {
	*net.TCPConn
	listener *Listener
	preface  int     // bytes of http2Preface so far, -1 for a connection of HTTP/1
	frames   *frames // of a connection of HTTP/2; nil for HTTP/1
	timed    bool    // frames are midway, and there is a deadline for them
	framing  framing // of a connection of HTTP/1
	// Bytes of brokenLine that Read has returned in place of a refused head.
	broken    int
	answering atomic.Bool // the handler writes, not net/http
}

// brokenLine is a line that net/http answers with 400 wherever it comes in a head. net/http then
// closes the connection.
const brokenLine = "\x00\r\n\r\n"

// Read replaces a refused head by brokenLine. An error would come too early: net/http reads ahead,
// and would take the error for the disconnect of the client whose request it is still serving.
func (c *conn) Read(p []byte) (int, error) {
	if c.frames != nil {
		return c.readFrames(p)
	}
	if c.framing.refused == nil {
		n, err := c.TCPConn.Read(p)
		if c.greeted(p[:n]) {
			return n, err
		}
		if n = c.framing.take(p[:n]); n > 0 || c.framing.refused == nil {
			return n, err
		}
	}
	n := copy(p, brokenLine[c.broken:])
	c.broken += n
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// atOnce is how much Write writes at a time, so that it notices a slow client that takes something.
const atOnce = 64 << 10

// Write waits for a client that takes something from time to time, however slowly. It gives up on
// one that takes nothing, because an answer that is never read must not be held for ever.
func (c *conn) Write(p []byte) (int, error) {
	if c.frames == nil && !c.answering.Load() {
		if status, ok := ownError(p); ok {
			return len(p), c.writeOwnError(status)
		}
	}
	defer func() { _ = c.SetWriteDeadline(time.Time{}) }() // fails only if the connection is closed
	written, queued, waited := 0, 0, false
	for {
		if err := c.SetWriteDeadline(time.Now().Add(c.listener.StreamTimeout / 2)); err != nil {
			return written, err
		}
		n, err := c.TCPConn.Write(p[written:min(len(p), written+atOnce)])
		c.listener.sent.Add(int64(n))
		written += n
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			waited = false
			if err != nil || written == len(p) {
				return written, err
			}
			continue
		}
		// The kernel accepts more only after a good part of its queue is gone. A slow client may
		// need long for that.
		left := unsent(c.TCPConn)
		if waited && n == 0 && left >= queued {
			_ = c.SetLinger(0) // the kernel should drop its queue too
			return written, err
		}
		queued, waited = left, true
	}
}
