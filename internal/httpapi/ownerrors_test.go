package httpapi

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// answerTo returns the whole answer of a server behind a Listener to these bytes.
func answerTo(t *testing.T, request string) string {
	t.Helper()
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "handled") })
	server := &http.Server{Handler: handler, MaxHeaderBytes: 8 << 10, ReadHeaderTimeout: 10 * time.Second}
	l := &Listener{Listener: open, StreamTimeout: 10 * time.Second}
	go func() { _ = l.Serve(server) }()
	defer server.Close()
	c, err := net.Dial("tcp", open.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	answer, _ := io.ReadAll(c) // a reset after the answer is no concern here
	return string(answer)
}

func TestErrorsOfNetHTTPAreJSON(t *testing.T) {
	for name, c := range map[string]struct{ request, status, detail string }{
		"not a request":     {"no request\r\n\r\n", "400 Bad Request", ""},
		"no host":           {"GET / HTTP/1.1\r\n\r\n", "400 Bad Request", ""},
		"an odd version":    {"GET / HTTP/7.0\r\nHost: x\r\n\r\n", "505 HTTP Version Not Supported", ""},
		"large headers":     {"GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 64<<10) + "\r\n\r\n", "431 Request Header Fields Too Large", ""},
		"an odd expect":     {"GET / HTTP/1.1\r\nHost: x\r\nExpect: much\r\n\r\n", "417 Expectation Failed", ""},
		"an odd coding":     {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: odd\r\n\r\n", "501 Not Implemented", ""},
		"ambiguous lengths": {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "400 Bad Request", "Content-Length"},
	} {
		t.Run(name, func(t *testing.T) {
			head, body, _ := strings.Cut(answerTo(t, c.request), "\r\n\r\n")
			if !strings.HasPrefix(head, "HTTP/1.1 "+c.status) {
				t.Fatalf("got %q", head)
			}
			if !strings.Contains(head, "Content-Type: application/json") || !strings.Contains(head, "Connection: close") {
				t.Errorf("got %q", head)
			}
			var said struct{ Detail, Error string }
			if err := json.Unmarshal([]byte(body), &said); err != nil || said.Detail == "" || said.Detail != said.Error {
				t.Errorf("%q: %v", body, err)
			}
			if !strings.Contains(said.Detail, c.detail) {
				t.Errorf("got %q", said.Detail)
			}
		})
	}
}

func TestAnAnswerOfAHandlerIsUnchanged(t *testing.T) {
	answer := answerTo(t, "GET / HTTP/1.0\r\n\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.0 200 OK") || !strings.HasSuffix(answer, "\r\n\r\nhandled") {
		t.Errorf("got %q", answer)
	}
}
