package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// open are the paths that need no token: probes and scrapers have none.
var open = map[string]bool{"/health-check": true, "/livez": true, "/readyz": true, "/metrics": true}

// authorized lets pass who shows the token. Hashes are compared, so that the time says nothing about it.
func (a *API) authorized(next http.Handler) http.Handler {
	want := sha256.Sum256([]byte(a.AuthToken))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		got := sha256.Sum256([]byte(strings.TrimSpace(token)))
		known := strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(want[:], got[:]) == 1
		if !known && !open[r.URL.Path] {
			w.Header().Set("WWW-Authenticate", `Bearer realm="coggo"`)
			if r.URL.Path == "/docs" && strings.Contains(r.Header.Get("Accept"), "text/html") {
				a.page().write(w, http.StatusUnauthorized) // it asks for the token
				return
			}
			writeError(w, r, a.Log, &httpError{http.StatusUnauthorized, "this server needs Authorization: Bearer with its token"})
			return
		}
		next.ServeHTTP(w, r)
	})
}
