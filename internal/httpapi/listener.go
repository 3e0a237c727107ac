package httpapi

import (
	"bytes"
	"fmt"
	"net"
	"sync/atomic"
)

// Listener makes errors JSON also where net/http answers by itself, in text, because a request is none or its headers are
// too large. It counts what clients take.
type Listener struct {
	net.Listener
	sent atomic.Int64
}

// Sent is the number of bytes that clients have taken on all connections.
func (l *Listener) Sent() int64 { return l.sent.Load() }

// Accept waits for the next connection.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		return conn{tcp, &l.sent}, nil
	}
	return c, err
}

type conn struct {
	*net.TCPConn
	sent *atomic.Int64
}

// atOnce is how much is written at a time, so that a slow client is seen to take something.
const atOnce = 64 << 10

func (c conn) Write(p []byte) (int, error) {
	if status, ok := plainError(p); ok {
		body := fmt.Sprintf(`{"detail":%q}`, status)
		_, err := fmt.Fprintf(c.TCPConn, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", status, len(body), body)
		return len(p), err
	}
	written := 0
	for {
		n, err := c.TCPConn.Write(p[written:min(len(p), written+atOnce)])
		c.sent.Add(int64(n))
		written += n
		if err != nil || written == len(p) {
			return written, err
		}
	}
}

// plainError returns the status of an answer that comes from net/http itself: the only ones that begin like this, or have
// this status, which it sends without a body.
func plainError(p []byte) (string, bool) {
	const most = 512
	status, is := bytes.CutPrefix(p[:min(most, len(p))], []byte("HTTP/1.1 "))
	line, rest, _ := bytes.Cut(status, []byte("\r\n"))
	text := bytes.HasPrefix(rest, []byte("Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"))
	return string(line), is && (text || bytes.HasPrefix(line, []byte("417 ")))
}
