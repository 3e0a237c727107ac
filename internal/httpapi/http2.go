package httpapi

import (
	"net/http"
	"strings"
	"time"
)

// HTTP/2 comes without TLS and by prior knowledge: a client that speaks it begins with
// http2Preface. net/http implements it, with its own limits for header sizes, for streams, for
// streams that are reset as soon as they are opened, and for frames that ask for answers. This file
// adds the limits that HTTP/1 connections have and HTTP/2 lacks: a time for headers, a time for a
// client that reads nothing, and a refusal of requests that can be read in two ways.

const http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

const (
	// maxStreams is the number of requests that one connection may have at a time. A proxy opens
	// another connection then.
	maxStreams = 250
	// maxFrame is the size of the largest frame of a body. A body counts as paused until a frame is
	// complete.
	maxFrame = 16 << 10
)

func speakHTTP2(s *http.Server) {
	s.Protocols = new(http.Protocols)
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	s.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: maxStreams, MaxReadFrameSize: maxFrame}
}

// greeted reports whether p, the next bytes of the connection, completes http2Preface. net/http
// decides by the same bytes, so the two never disagree about the version.
func (c *conn) greeted(p []byte) bool {
	if c.preface < 0 {
		return false
	}
	n := min(len(p), len(http2Preface)-c.preface)
	if string(p[:n]) != http2Preface[c.preface:c.preface+n] {
		c.preface = -1
		return false
	}
	if c.preface += n; c.preface < len(http2Preface) {
		return false
	}
	c.frames = &frames{}
	c.frames.take(p[n:])
	return true
}

// readFrames is Read of a connection that speaks HTTP/2. It gives a client as long for its headers,
// and for every frame that is not part of a body, as HTTP/1 gives it for its headers.
func (c *conn) readFrames(p []byte) (int, error) {
	if limit := c.listener.headerTimeout; limit > 0 && c.timed != c.frames.midway() {
		var until time.Time
		if c.timed = !c.timed; c.timed {
			until = time.Now().Add(limit)
		}
		if err := c.SetReadDeadline(until); err != nil {
			return 0, err
		}
	}
	n, err := c.TCPConn.Read(p)
	c.frames.take(p[:n])
	return n, err
}

// frames follows the frames of a connection, as far as needed to know whether one is incomplete.
type frames struct {
	head  [9]byte
	got   int  // bytes of head
	left  int  // bytes of the frame still to come
	block bool // headers continue in the next frame
}

// The types of frames that matter here, and a flag.
const (
	dataFrame         = 0x0
	headersFrame      = 0x1
	continuationFrame = 0x9
	endHeaders        = 0x4
)

func (f *frames) take(p []byte) {
	for len(p) > 0 {
		if f.left > 0 {
			n := min(f.left, len(p))
			f.left -= n
			p = p[n:]
			continue
		}
		n := copy(f.head[f.got:], p)
		f.got += n
		p = p[n:]
		if f.got < len(f.head) {
			return
		}
		f.got, f.left = 0, int(f.head[0])<<16|int(f.head[1])<<8|int(f.head[2])
		if kind := f.head[3]; kind == headersFrame || kind == continuationFrame {
			f.block = f.head[4]&endHeaders == 0
		}
	}
}

// midway reports whether a frame or headers are incomplete and must be completed soon. Bodies have
// their own limit, see patiently.
func (f *frames) midway() bool {
	return f.got > 0 || f.block || f.left > 0 && f.head[3] != dataFrame
}

// serveHTTP2 serves a request of HTTP/2, unless its client has reset the stream while the request
// waited for its turn.
func (l *Listener) serveHTTP2(next http.Handler, w http.ResponseWriter, r *http.Request) {
	if r.Context().Err() != nil {
		return
	}
	out := &patientWriter{
		ResponseWriter: w, control: http.NewResponseController(w),
		request: r, limit: l.StreamTimeout,
	}
	defer out.expect() // net/http sends the rest of the answer after this handler
	if why := unclear(r); why != "" {
		writeJSON(out, http.StatusBadRequest, plainError(why))
		return
	}
	delete(r.Header, "Host") // r.Host has it, as in HTTP/1
	next.ServeHTTP(out, r)
}

// unclear returns what could be read in two ways in a request of HTTP/2, or can't be passed on to
// HTTP/1 as it is; "" if there is nothing. net/http refuses other requests itself.
func unclear(r *http.Request) string {
	hosts, lengths := r.Header["Host"], r.Header["Content-Length"]
	switch {
	case r.Host == "" || strings.ContainsFunc(r.Host, notOfHost):
		return ":authority is not a host"
	case len(hosts) > 1 || len(hosts) == 1 && hosts[0] != r.Host:
		return "Host and :authority contradict each other"
	case len(lengths) > 1:
		return "Content-Length appears twice"
	case r.Method != http.MethodConnect && r.RequestURI != "*" &&
		!strings.HasPrefix(r.RequestURI, "/"):
		return ":path is not a path"
	}
	for _, text := range lengths {
		if n, ok := bodyLength([]byte(text)); !ok || r.ContentLength != int64(n) {
			return "Content-Length is not the length of the body"
		}
	}
	return ""
}

// notOfHost reports a character that net/http refuses in a Host of HTTP/1, or an @, which ends the
// name of a user.
func notOfHost(c rune) bool {
	return (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') &&
		!strings.ContainsRune("!$%&'()*+,-.:;=[]_~", c)
}

// patientWriter resets the stream of a client that reads nothing for a time. conn.Write can't see
// that, because flow control lets a client hold up one stream while others on the connection go on.
type patientWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	request *http.Request
	limit   time.Duration
	until   time.Time // when the stream is reset; zero while nothing waits for the client
}

// expect gives the client its full time from now on. Because a new deadline costs a message between
// goroutines, it does so only once a quarter of the time is over. A deadline that was met must be
// lifted, or it would reset an idle stream.
func (w *patientWriter) expect() {
	now := time.Now()
	if w.until.Sub(now) > w.limit*3/4 || w.request.Context().Err() != nil {
		return
	}
	w.until = now.Add(w.limit)
	_ = w.control.SetWriteDeadline(w.until) // HTTP/2 supports it
}

// Write leaves the deadline in place for bytes that net/http still holds. FlushError and the end of
// the handler send them.
func (w *patientWriter) Write(p []byte) (written int, err error) {
	for {
		w.expect()
		n, err := w.ResponseWriter.Write(p[written:min(len(p), written+maxFrame)])
		written += n
		if err != nil || written == len(p) {
			return written, err
		}
	}
}

// FlushError implements what http.ResponseController looks for.
func (w *patientWriter) FlushError() error {
	w.expect()
	if err := w.control.Flush(); err != nil {
		return err
	}
	w.until = time.Time{}
	return w.control.SetWriteDeadline(w.until)
}

// Unwrap lets http.ResponseController reach the wrapped writer.
func (w *patientWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
