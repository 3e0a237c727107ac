package httpapi

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestTheHostNameIsCheckedOnlyForBrowsersOverLoopback(t *testing.T) {
	a := &API{}
	h := a.sites(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	for from, want := range map[string]int{
		"127.0.0.1:4711":          http.StatusForbidden,
		"127.8.9.1:4711":          http.StatusForbidden,
		"[::1]:4711":              http.StatusForbidden,
		"[::ffff:127.0.0.1]:4711": http.StatusForbidden,
		"192.0.2.7:4711":          http.StatusOK,
		"[2001:db8::1]:4711":      http.StatusOK,
		"[fe80::1%eth0]:4711":     http.StatusOK,
	} {
		r := httptest.NewRequest(http.MethodGet, "http://model.example.com/predictions", nil)
		r.RemoteAddr = from
		r.Header.Set("User-Agent", "Mozilla/5.0")
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != want {
			t.Errorf("from %s: %d", from, w.Code)
		}
	}
}
