package httpapi

import (
	"bytes"
	"strings"
)

// framing checks the heads of the requests on one connection, before net/http reads them. net/http
// is lenient, and a proxy in front of it may be lenient in another way: then one of them reads as
// the body of a request what the other reads as the next request. So framing passes on only heads
// that say unambiguously where their request ends:
//
//   - lines end in CRLF, contain no other CR, and do not continue on the next line;
//   - there is one Content-Length at most, and it consists of digits;
//   - Transfer-Encoding is used in HTTP/1.1 only, and without a Content-Length.
//
// framing does not check what net/http refuses itself. It passes a body with Transfer-Encoding on
// unchecked, and all bytes that follow it: such a request is the last one on its connection, see
// Listener.Serve.
type framing struct {
	line    []byte // the beginning of the current line, from an earlier piece
	inHead  bool   // after the request line, before the empty line
	http11  bool
	sized   bool   // Content-Length was seen
	coded   bool   // Transfer-Encoding was seen
	body    uint64 // bytes of the body still to come
	last    bool   // the rest is passed on unchecked
	refused error  // the first refusal; it stays
}

// framingError is the reason why the head of a request was refused.
type framingError string

func (e framingError) Error() string { return string(e) }

// take returns how much of p, the next bytes of the connection, may be passed on: all of it, or the
// part before a line that is refused. The end of a refused head is never passed on.
func (f *framing) take(p []byte) (n int) {
	for n < len(p) && f.refused == nil {
		rest := p[n:]
		switch {
		case f.last:
			return len(p)
		case f.body > 0 && !f.inHead:
			step := min(f.body, uint64(len(rest)))
			f.body -= step
			n += int(step)
		default:
			n += f.takeLine(rest)
		}
	}
	return n
}

// takeLine takes the first line of p, or the part of a line if p has no line end.
func (f *framing) takeLine(p []byte) int {
	end := bytes.IndexByte(p, '\n') + 1
	if end == 0 {
		f.line = append(f.line, p...) // net/http bounds it by its limit on heads
		return len(p)
	}
	line := p[:end]
	if len(f.line) > 0 {
		line = append(f.line, line...)
		f.line = line[:0]
	}
	if f.refused = f.check(line); f.refused != nil {
		return 0
	}
	return end
}

func (f *framing) check(line []byte) error {
	if !f.inHead {
		// Some clients send an empty line after a body. Leave empty lines before a request to
		// net/http.
		line = bytes.TrimLeft(line, "\r\n")
		if len(line) == 0 {
			return nil
		}
	}
	text, whole := bytes.CutSuffix(line, []byte("\r\n"))
	if !whole || bytes.IndexByte(text, '\r') >= 0 {
		return framingError("a header line does not end in CRLF, or contains another CR")
	}
	if !f.inHead {
		f.inHead, f.http11 = true, bytes.HasSuffix(text, []byte(" HTTP/1.1"))
		return nil
	}
	if len(text) == 0 {
		return f.endHead()
	}
	return f.checkField(text)
}

func (f *framing) checkField(line []byte) error {
	if line[0] == ' ' || line[0] == '\t' {
		return framingError("a header continues on the next line")
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	if len(name) > 0 && (name[len(name)-1] == ' ' || name[len(name)-1] == '\t') {
		return framingError("there is a space before the colon of a header")
	}
	switch {
	case named(name, "content-length"):
		if f.sized {
			return framingError("Content-Length appears twice")
		}
		if f.body, f.sized = bodyLength(bytes.Trim(value, " \t")); !f.sized {
			return framingError("Content-Length is not a number")
		}
	case named(name, "transfer-encoding"):
		f.coded = true
	}
	return nil
}

// named compares the lengths first, because nearly every header has another length.
func named(name []byte, want string) bool {
	return len(name) == len(want) && strings.EqualFold(string(name), want)
}

// endHead handles the empty line at the end of a head.
func (f *framing) endHead() error {
	switch {
	case f.coded && f.sized:
		return framingError("Content-Length and Transfer-Encoding contradict each other")
	case f.coded && !f.http11:
		return framingError("only HTTP/1.1 has Transfer-Encoding")
	}
	f.last = f.coded
	f.inHead, f.sized = false, false
	return nil
}

// bodyLength reads digits, as many as always fit.
func bodyLength(text []byte) (n uint64, ok bool) {
	const most = 18
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, 0 < len(text) && len(text) <= most
}
