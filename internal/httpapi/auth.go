package httpapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
)

// open are the paths that need no token, because probes, scrapers and frames do not have one.
var open = map[string]bool{
	"/health-check": true, "/livez": true, "/readyz": true, "/metrics": true, "/queue": true,
	"/docs/media": true,
}

// authorized requires the token.
func (a *API) authorized(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !open[r.URL.Path] && !a.showsToken(r) && !a.showsKey(r) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="coggo"`)
			if r.URL.Path == "/docs" && strings.Contains(r.Header.Get("Accept"), "text/html") {
				a.page().write(w, http.StatusUnauthorized) // it asks for the token
				return
			}
			a.writeError(w, r, &httpError{
				http.StatusUnauthorized, "this server needs Authorization: Bearer with its token",
			})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// showsToken reports whether r has the token, or the server has none. It compares hashes, so that
// the time of a comparison reveals nothing about the token.
func (a *API) showsToken(r *http.Request) bool {
	if a.AuthToken == "" {
		return true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	got := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return strings.EqualFold(scheme, "Bearer") &&
		subtle.ConstantTimeCompare(a.token[:], got[:]) == 1
}

// streamKey returns the key that opens the stream of one prediction without the token, because
// Replicate's JavaScript client sends no token there: in production the URL is enough. It is empty
// if the server has no token.
func (a *API) streamKey(id string) string {
	if a.AuthToken == "" {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(a.AuthToken))
	mac.Write([]byte("stream\x00" + id))
	return hex.EncodeToString(mac.Sum(nil))
}

// showsKey reports whether r asks for a stream and has its key. It takes the id from the path as
// the client sent it, because the route does too: for the route, x%2Fstream is the id "x/stream",
// not the stream of x.
func (a *API) showsKey(r *http.Request) bool {
	rest, inV1 := strings.CutPrefix(r.URL.EscapedPath(), "/v1/predictions/")
	segment, isStream := strings.CutSuffix(rest, "/stream")
	id, err := url.PathUnescape(segment)
	key := []byte(r.URL.Query().Get("key"))
	return inV1 && isStream && err == nil && !strings.Contains(segment, "/") &&
		r.Method == http.MethodGet &&
		subtle.ConstantTimeCompare(key, []byte(a.streamKey(id))) == 1
}
