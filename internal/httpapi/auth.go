package httpapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
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
		if !known && !open[r.URL.Path] && !a.showsKey(r) {
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

// streamKey opens the stream of one prediction without the token: Replicate's JavaScript client sends none there, since the
// URL that it was given is enough in production too. It is empty when no token is needed.
func (a *API) streamKey(id string) string {
	if a.AuthToken == "" {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(a.AuthToken))
	mac.Write([]byte("stream\x00" + id))
	return hex.EncodeToString(mac.Sum(nil))
}

// showsKey reports whether r asks for a stream with its key.
func (a *API) showsKey(r *http.Request) bool {
	rest, inV1 := strings.CutPrefix(r.URL.Path, "/v1/predictions/")
	id, isStream := strings.CutSuffix(rest, "/stream")
	return inV1 && isStream && r.Method == http.MethodGet &&
		subtle.ConstantTimeCompare([]byte(r.URL.Query().Get("key")), []byte(a.streamKey(id))) == 1
}
