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
// (framing.go, http2.go), makes JSON of the errors that net/http answers by itself, in text, and
// counts what clients take.
type Listener struct {
	net.Listener
	StreamTimeout time.Duration // how long a client may read nothing before its connection is closed
	headerTimeout time.Duration // for the headers of a request of HTTP/2; 0: no limit
	sent          atomic.Int64
}

// Sent is the number of bytes that clients have taken on all connections.
func (l *Listener) Sent() int64 { return l.sent.Load() }

// Accept waits for the next connection.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		return &conn{TCPConn: tcp, listener: l}, nil
	}
	return c, err
}

// Serve lets s serve the connections of l; it sets ConnContext, ConnState, Protocols and HTTP2 of
// s. What a connection of HTTP/1 carries belongs to the handler from its call until net/http has
// sent the whole answer and calls the connection idle; what is sent at any other time comes from
// net/http itself.
func (l *Listener) Serve(s *http.Server) error {
	speakHTTP2(s)
	l.headerTimeout = s.ReadHeaderTimeout
	next := s.Handler
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) }
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
			w.Header().Set("Connection", "close") // net/http is lenient about what chunks look like
		}
		next.ServeHTTP(w, r)
	})
	return s.Serve(l)
}

type connKey struct{}

type conn struct {
	*net.TCPConn
	listener  *Listener
	preface   int         // bytes of http2Preface that have come, -1 for a connection of HTTP/1
	frames    *frames     // of a connection of HTTP/2, else nil
	timed     bool        // frames are midway, and there is a deadline for that
	framing   framing     // of a connection of HTTP/1
	broken    int         // bytes of brokenLine that Read has given in place of a head that framing refuses
	answering atomic.Bool // what is written comes from the handler
}

// brokenLine is what net/http answers with 400, wherever in a head it comes, and closes the
// connection.
const brokenLine = "\x00\r\n\r\n"

// Read breaks off a head that framing refuses. An error would do that too early: net/http reads
// ahead, and takes an error for the leaving of the client whose request it still works on.
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

// atOnce is how much is written at a time, so that a slow client is seen to take something.
const atOnce = 64 << 10

// Write waits for a client that takes something from time to time, however slowly. Whatever answer
// it is: one that no client reads must not be held for ever.
func (c *conn) Write(p []byte) (int, error) {
	if c.frames == nil && !c.answering.Load() {
		if status, ok := ownError(p); ok {
			return len(p), c.writeOwnError(status)
		}
	}
	defer c.SetWriteDeadline(time.Time{})
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
		// The kernel takes more only once a good part of its own queue is gone, which a slow client
		// may need long for.
		left := unsent(c.TCPConn)
		if waited && n == 0 && left >= queued {
			_ = c.SetLinger(0) // the kernel need not keep its queue either
			return written, err
		}
		queued, waited = left, true
	}
}
