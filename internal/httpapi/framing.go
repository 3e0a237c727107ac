package httpapi

import (
	"bytes"
	"strings"
)

// framing looks at the heads of the requests on one connection, before net/http does. net/http is
// lenient where a proxy in front of it may be too, but in another way: what one of them takes for
// the body of a request is the next request for the other. So every head that reaches net/http
// says in one way only where its request ends:
//
//   - lines end in CRLF, there is no other CR in them, and no line continues in the next one;
//   - one Content-Length at most, made of digits;
//   - Transfer-Encoding in HTTP/1.1 only, and not with a Content-Length.
//
// What net/http refuses by itself is not looked for. A body with Transfer-Encoding is passed on as
// it is, and so is all that follows: its request is the last one on the connection, see
// Listener.Serve.
type framing struct {
	line    []byte // the beginning of the current line, when it came in an earlier piece
	inHead  bool   // the request line was seen, the empty line was not
	http11  bool
	sized   bool   // Content-Length was seen
	coded   bool   // Transfer-Encoding was seen
	body    uint64 // bytes of the body that have not come yet
	last    bool   // what comes is not looked at any more
	refused error  // set for good by the first head that is refused
}

// framingError says why the head of a request was refused.
type framingError string

func (e framingError) Error() string { return string(e) }

// take returns how much of p, the next bytes of the connection, may be passed on: all of it, or
// what comes before a line that is refused. The end of a head that is refused is never passed on.
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

// takeLine takes the first line of p, or the piece of one that there is.
func (f *framing) takeLine(p []byte) int {
	end := bytes.IndexByte(p, '\n') + 1
	if end == 0 {
		f.line = append(f.line, p...) // net/http bounds it: it reads no more than a head may have
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
		// Empty lines before a request are left to net/http: some clients send one after a body.
		line = bytes.TrimLeft(line, "\r\n")
		if len(line) == 0 {
			return nil
		}
	}
	text, whole := bytes.CutSuffix(line, []byte("\r\n"))
	if !whole || bytes.IndexByte(text, '\r') >= 0 {
		return framingError("a line of the headers does not end in CRLF, or has a CR within")
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
		return framingError("a header goes on in the next line")
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	if len(name) > 0 && (name[len(name)-1] == ' ' || name[len(name)-1] == '\t') {
		return framingError("there is a space before the colon of a header")
	}
	switch {
	case named(name, "content-length"):
		if f.sized {
			return framingError("Content-Length is there twice")
		}
		if f.body, f.sized = bodyLength(bytes.Trim(value, " \t")); !f.sized {
			return framingError("Content-Length is not a number")
		}
	case named(name, "transfer-encoding"):
		f.coded = true
	}
	return nil
}

// named compares the lengths first: nearly every header has another one.
func named(name []byte, want string) bool {
	return len(name) == len(want) && strings.EqualFold(string(name), want)
}

// endHead is called at the empty line.
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

// bodyLength reads digits, as many as surely fit.
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
