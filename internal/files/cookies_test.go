package files_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// namedHosts is a client for which every name leads to the one server.
func namedHosts(base string) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, strings.TrimPrefix(base, "http://"))
	}}}
}

func TestCookiesAreSentToTheirHostWithinOneChainOfRedirects(t *testing.T) {
	for _, row := range []struct{ set, next, want string }{
		{"a=1", "http://one.test/end", "a=1"},
		{"a=1; Path=/elsewhere", "http://one.test/end", ""},
		{"a=1; Secure", "http://one.test/end", ""},
		{"a=1; Max-Age=0", "http://one.test/end", ""},
		{"a=1; Domain=one.test", "http://one.test/end", "a=1"},
		{"a=1; Domain=.ONE.test", "http://one.test/end", "a=1"},
		{"a=1", "http://two.test/end", ""},
		{"a=1; Domain=two.test", "http://two.test/end", ""},
		{"a=1; Domain=two.test", "http://one.test/end", ""},
		{"a=1; Domain=test", "http://two.test/end", ""},
		{"a=1; Domain=test", "http://one.test/end", "a=1"},
		{"a=1; Domain=one.test", "http://sub.one.test/end", ""},
		{"a=1; Domain=e.test", "http://one.test/end", ""},
		{"a=" + strings.Repeat("x", 5000), "http://one.test/end", ""},
	} {
		var got []string
		f := fetcher()
		f.Client = namedHosts(serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/start" {
				w.Header().Set("Set-Cookie", row.set)
				http.Redirect(w, r, row.next, http.StatusFound)
			}
			got = append(got, r.Header.Get("Cookie"))
			if referer := r.Header.Get("Referer"); referer != "" {
				t.Errorf("Referer: %s", referer)
			}
		}))
		for range 2 { // the second chain has none of the first one's cookies
			got = nil
			if _, err := fetchOne(t, f, t.TempDir(), "http://one.test/start?key=secret"); err != nil || len(got) != 2 || got[0] != "" || got[1] != row.want {
				t.Errorf("%.40s to %s: %q, %v", row.set, row.next, got, err)
			}
		}
	}
}

func TestAChainKeepsABoundedNumberOfCookies(t *testing.T) {
	var got int
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = len(r.Cookies())
		if r.URL.Path == "/start" {
			for i := range 1000 {
				w.Header().Add("Set-Cookie", fmt.Sprintf("c%d=1", i))
			}
			http.Redirect(w, r, "/end", http.StatusFound)
			return
		}
		io.WriteString(w, "x")
	})
	if _, err := fetchOne(t, fetcher(), t.TempDir(), base+"/start"); err != nil || got != 50 {
		t.Errorf("%d cookies, %v", got, err)
	}
}
