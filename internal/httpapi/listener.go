package httpapi

import (
	"bytes"
	"fmt"
	"net"
)

// Listener makes errors JSON also where net/http answers by itself, in text, because a request is none or its headers are
// too large.
func Listener(l net.Listener) net.Listener { return listener{l} }

type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		return conn{tcp}, nil
	}
	return c, err
}

type conn struct{ *net.TCPConn }

func (c conn) Write(p []byte) (int, error) {
	if status, ok := plainError(p); ok {
		body := fmt.Sprintf(`{"detail":%q}`, status)
		_, err := fmt.Fprintf(c.TCPConn, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", status, len(body), body)
		return len(p), err
	}
	return c.TCPConn.Write(p)
}

// plainError returns the status of an answer that comes from net/http itself: the only ones that begin like this.
func plainError(p []byte) (string, bool) {
	const most = 512
	status, is := bytes.CutPrefix(p[:min(most, len(p))], []byte("HTTP/1.1 "))
	line, rest, _ := bytes.Cut(status, []byte("\r\n"))
	return string(line), is && bytes.HasPrefix(rest, []byte("Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"))
}
