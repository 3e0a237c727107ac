package httpapi

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestAClientThatLeavesIsNoticedOnceTheWatchStarts(t *testing.T) {
	t.Run("deferred", func(t *testing.T) { aClientThatLeavesIsSeen(t, &API{}) })
	t.Run("early", func(t *testing.T) { aClientThatLeavesIsSeen(t, &API{Config: Config{EarlyWatch: true}}) })
}

func aClientThatLeavesIsSeen(t *testing.T, api *API) {
	for name, request := range map[string]string{
		"a length": "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
		"chunks":   "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"no body":  "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
		"expect":   "POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
	} {
		t.Run(name, func(t *testing.T) {
			read, seen := make(chan bool), make(chan bool)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Body = &countingReader{ReadCloser: r.Body}
				watch := api.deferWatch(r)
				if _, err := io.Copy(io.Discard, r.Body); err != nil {
					t.Error(err)
				}
				read <- true
				<-read // the client has left
				select {
				case <-watch().Done():
					seen <- true
				case <-time.After(10 * time.Second):
					seen <- false
				}
			}))
			defer server.Close()
			c, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(c, request); err != nil {
				t.Fatal(err)
			}
			<-read
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			read <- true
			if !<-seen {
				t.Error("nobody saw it")
			}
		})
	}
}

func TestAConnectionIsKeptWhetherItWasWatchedOrNot(t *testing.T) {
	watched, api := false, &API{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		watch := api.deferWatch(r)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if watched = !watched; watched {
			watch()
		}
		_, _ = w.Write(body)
	}))
	defer server.Close()
	c, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const request = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
	for range 10 { // two at once, as a client may that does not wait
		if _, err := io.WriteString(c, request+request); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answers := 0
	all, err := io.ReadAll(c)
	for i := range len(all) {
		if i+4 <= len(all) && string(all[i:i+4]) == "\r\n{}" {
			answers++
		}
	}
	if err != nil || answers != 20 {
		t.Errorf("%d answers of 20, %v", answers, err)
	}
}
