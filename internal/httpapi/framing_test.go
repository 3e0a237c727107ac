package httpapi

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"
)

func lines(text ...string) string { return strings.Join(text, "\r\n") + "\r\n\r\n" }

var wellFramed = map[string]string{
	"no body":            lines("GET / HTTP/1.1", "Host: x"),
	"no headers":         lines("GET / HTTP/1.0"),
	"a length":           lines("POST / HTTP/1.1", "Host: x", "Content-Length: 2") + "{}",
	"a length of zero":   lines("POST / HTTP/1.1", "content-LENGTH:\t 0 "),
	"a line in the body": lines("POST / HTTP/1.1", "Content-Length: 7") + "\n\n X\r\n ",
	"HTTP/1.0":           lines("POST / HTTP/1.0", "Content-Length: 1", "Connection: keep-alive") + "x",
	"empty lines before": "\r\n\n\r" + lines("GET / HTTP/1.1", "Host: x"),
	"other headers":      lines("GET / HTTP/1.1", "A:", "B: c\td", "Content-Lengths: x", "X-Transfer-Encoding: y"),
	"a length in a text": lines("GET /?Content-Length:3 HTTP/1.1", "A: Content-Length: 4"),
}

var illFramed = map[string]string{
	"length and coding":          lines("POST / HTTP/1.1", "Content-Length: 4", "Transfer-Encoding: chunked"),
	"coding and length":          lines("POST / HTTP/1.1", "transfer-encoding: chunked", "A: b", "content-length: 4"),
	"length and coding of GET":   lines("GET / HTTP/1.1", "Content-Length: 0", "Transfer-Encoding: chunked"),
	"coding of HTTP/1.0":         lines("POST / HTTP/1.0", "Transfer-Encoding: chunked"),
	"coding of HTTP/1.2":         lines("POST / HTTP/1.2", "Transfer-Encoding: chunked"),
	"coding without a version":   lines("POST /", "Transfer-Encoding: chunked"),
	"two lengths":                lines("POST / HTTP/1.1", "Content-Length: 2", "Content-Length: 2"),
	"a list of lengths":          lines("POST / HTTP/1.1", "Content-Length: 2, 2"),
	"a signed length":            lines("POST / HTTP/1.1", "Content-Length: +2"),
	"no length":                  lines("POST / HTTP/1.1", "Content-Length: "),
	"an endless length":          lines("POST / HTTP/1.1", "Content-Length: 1234567890123456789"),
	"a folded header":            lines("POST / HTTP/1.1", "A: b", " c"),
	"a folded coding":            lines("POST / HTTP/1.1", "Transfer-Encoding:", "\tchunked"),
	"a space before the headers": lines("POST / HTTP/1.1", " A: b"),
	"a space before the colon":   lines("POST / HTTP/1.1", "Content-Length : 2"),
	"LF at the end of a header":  "POST / HTTP/1.1\r\nA: b\nContent-Length: 2\r\n\r\n",
	"LF at the end of the head":  "GET / HTTP/1.1\r\nA: b\r\n\n",
	"LF after the request line":  "GET / HTTP/1.1\nA: b\r\n\r\n",
	"CR in a header":             lines("POST / HTTP/1.1", "A: b\rContent-Length: 2"),
	"CR twice":                   "POST / HTTP/1.1\r\r\nA: b\r\n\r\n",
}

// passed is what f lets through of data when it comes in pieces that end at the given places.
func passed(f *framing, data string, ends ...int) string {
	var out bytes.Buffer
	begin := 0
	for _, end := range append(ends, len(data)) {
		piece := []byte(data[begin:end])
		out.Write(piece[:f.take(piece)])
		begin = end
	}
	return out.String()
}

func TestAClearHeadPassesInAnyPieces(t *testing.T) {
	for name, first := range wellFramed {
		for next, second := range wellFramed {
			data := first + second
			for cut := range data {
				var f framing
				if got := passed(&f, data, cut); got != data || f.refused != nil {
					t.Fatalf("%s, %s, cut at %d: passed %q, %v", name, next, cut, got, f.refused)
				}
			}
		}
	}
}

func TestAnUnclearHeadNeverPassesInAnyPieces(t *testing.T) {
	for before, first := range wellFramed {
		for name, second := range illFramed {
			data := first + second + "2\r\n{}\r\n0\r\n\r\n"
			for cut := range data {
				var f framing
				got := passed(&f, data, cut)
				if f.refused == nil || len(got) >= len(first+second) || !strings.HasPrefix(data, got) {
					t.Fatalf("%s after %s, cut at %d: passed %q, %v", name, before, cut, got, f.refused)
				}
				if more := passed(&f, first); more != "" {
					t.Fatalf("%s: passed %q afterwards", name, more)
				}
			}
		}
	}
}

func TestBytesAfterATransferCodingPassUnchanged(t *testing.T) {
	data := lines("POST / HTTP/1.1", "Host: x", "Transfer-Encoding: chunked") + "2;\n\r \r\n{}\r\n0\n\n" + illFramed["two lengths"]
	for cut := range data {
		var f framing
		if got := passed(&f, data, cut); got != data || f.refused != nil || !f.last {
			t.Fatalf("cut at %d: passed %q, %v", cut, got, f.refused)
		}
	}
}

// FuzzFraming checks that net/http reads a head that passes as framing does, and that it does not
// accept a truncated head as a request.
func FuzzFraming(f *testing.F) {
	for _, seeds := range []map[string]string{wellFramed, illFramed} {
		for _, seed := range seeds {
			f.Add([]byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var whole, bytewise framing
		n := whole.take(data)
		pieces := 0
		for i := range data {
			pieces += bytewise.take(data[i : i+1])
		}
		if n > pieces || whole.refused != bytewise.refused || whole.body != bytewise.body || whole.last != bytewise.last {
			t.Fatalf("%q: at once %d %v, bytewise %d %v", data, n, whole.refused, pieces, bytewise.refused)
		}
		head := bytes.TrimLeft(data, "\r\n")
		end := bytes.Index(head, []byte("\r\n\r\n"))
		if end < 0 {
			return
		}
		head = head[:end+4]
		var one framing
		if n := one.take(head); n < len(head) {
			if r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(string(head[:n]) + brokenLine))); err == nil {
				t.Fatalf("%q: net/http accepts the head that is cut at %d as %+v", head, n, r)
			}
			return
		}
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
		if err != nil {
			return // it answers 400 and closes the connection
		}
		if length := r.ContentLength; one.inHead || one.last != (length < 0) || !one.last && one.body != uint64(length) {
			t.Fatalf("%q: net/http says %d, %v, framing %d, %v", head, length, r.TransferEncoding, one.body, one.last)
		}
	})
}

func BenchmarkFraming(b *testing.B) {
	request := []byte(lines("POST /predictions HTTP/1.1", "Host: localhost:5000", "User-Agent: python-requests/2.32.3", "Accept-Encoding: gzip, deflate",
		"Accept: */*", "Connection: keep-alive", "Content-Type: application/json", "Content-Length: 28") + `{"input": {"name": "world"}}`)
	var f framing
	for b.Loop() {
		if f.take(request) != len(request) {
			b.Fatal(f.refused)
		}
	}
}
