package httpapi_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coggo/coggo/internal/httpapi"
)

const longest = 20 * time.Second

// listen serves h behind a Listener until the test ends, and returns a connection to it.
func listen(t *testing.T, h http.Handler, patience time.Duration) (*httpapi.Listener, net.Conn) {
	t.Helper()
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &httpapi.Listener{Listener: open, StreamTimeout: patience}
	server := &http.Server{Handler: h, ReadHeaderTimeout: longest}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = l.Serve(server)
	}()
	t.Cleanup(func() {
		server.Close()
		<-served
	})
	c, err := net.Dial("tcp", open.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(longest))
	return l, c
}

func TestTheListenerCountsTheBytesThatClientsRead(t *testing.T) {
	l, c := listen(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("x", 1<<20)) }), longest)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	answer, err := io.ReadAll(c)
	if err != nil || len(answer) < 1<<20 || l.Sent() != int64(len(answer)) {
		t.Errorf("%d bytes came, %d were counted: %v", len(answer), l.Sent(), err)
	}
}

// Requests before it on the same connection are answered. It and those after it reach no handler.
func TestAnAmbiguousRequestEndsTheConnectionInItsTurn(t *testing.T) {
	var paths []string
	_, c := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.Path)
		io.WriteString(w, "handled")
	}), longest)
	io.WriteString(c, "GET /first HTTP/1.1\r\nHost: x\r\n\r\n"+
		"POST /second HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+
		"GET /third HTTP/1.1\r\nHost: x\r\n\r\n")
	in := bufio.NewReader(c)
	for _, want := range []struct {
		status int
		body   string
	}{
		{200, "handled"},
		{400, `{"detail":"Content-Length and Transfer-Encoding contradict each other","error":"Content-Length and Transfer-Encoding contradict each other"}`},
	} {
		r, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		if r.StatusCode != want.status || string(body) != want.body || err != nil {
			t.Errorf("got %d %s, %v", r.StatusCode, body, err)
		}
	}
	if more, err := io.ReadAll(in); len(more) > 0 || len(paths) != 1 {
		t.Errorf("%v were handled; then came %q, %v", paths, more, err)
	}
}

func TestARequestWithChunksIsTheLastOfItsConnection(t *testing.T) {
	_, c := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }), longest)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")
	in := bufio.NewReader(c)
	r, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(r.Body)
	if string(body) != "{}" || !r.Close {
		t.Errorf("got %q, %v", body, r.Header)
	}
	if more, _ := io.ReadAll(in); len(more) > 0 {
		t.Errorf("then came %q", more)
	}
}

func TestAClientThatReadsNothingIsCutOff(t *testing.T) {
	ended := make(chan error)
	_, c := listen(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var err error
		for err == nil {
			_, err = w.Write(make([]byte, 1<<20))
		}
		ended <- err
	}), 20*time.Millisecond)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	select {
	case <-ended:
	case <-time.After(longest):
		t.Error("the handler still writes")
	}
}

func TestABodyThatDoesNotComeIsGivenUp(t *testing.T) {
	a := newAPI(t, func(c *httpapi.Config) { c.BodyTimeout = 20 * time.Millisecond })
	_, c := listen(t, a, longest)
	io.WriteString(c, "POST /predictions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n{")
	answer, err := io.ReadAll(c)
	if head, body, _ := strings.Cut(string(answer), "\r\n\r\n"); err != nil || !strings.HasPrefix(head, "HTTP/1.1 408 ") ||
		!strings.Contains(head, "Connection: close") || !strings.Contains(body, "nothing more of the body came for 20ms, see --body-timeout") {
		t.Errorf("got %q, %v", answer, err)
	}
}
