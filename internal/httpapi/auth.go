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

// open are the paths that need no token: probes, scrapers and frames have none.
var open = map[string]bool{"/health-check": true, "/livez": true, "/readyz": true, "/metrics": true, "/docs/media": true}

// authorized lets pass who shows the token.
func (a *API) authorized(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !open[r.URL.Path] && !a.showsToken(r) && !a.showsKey(r) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="coggo"`)
			if r.URL.Path == "/docs" && strings.Contains(r.Header.Get("Accept"), "text/html") {
				a.page().write(w, http.StatusUnauthorized) // it asks for the token
				return
			}
			a.writeError(w, r, &httpError{http.StatusUnauthorized, "this server needs Authorization: Bearer with its token"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// showsToken reports whether r has the token, or none is needed. Hashes are compared, so that the
// time says nothing about it.
func (a *API) showsToken(r *http.Request) bool {
	if a.AuthToken == "" {
		return true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	got := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(a.token[:], got[:]) == 1
}

// streamKey opens the stream of one prediction without the token: Replicate's JavaScript client
// sends none there, since the URL that it was given is enough in production too. It is empty when
// no token is needed.
func (a *API) streamKey(id string) string {
	if a.AuthToken == "" {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(a.AuthToken))
	mac.Write([]byte("stream\x00" + id))
	return hex.EncodeToString(mac.Sum(nil))
}

// showsKey reports whether r asks for a stream with its key. The id is a segment of the path as it
// was sent, which is what the route goes by: of x%2Fstream the route makes the id x/stream, and not
// the stream of x.
func (a *API) showsKey(r *http.Request) bool {
	rest, inV1 := strings.CutPrefix(r.URL.EscapedPath(), "/v1/predictions/")
	segment, isStream := strings.CutSuffix(rest, "/stream")
	id, err := url.PathUnescape(segment)
	return inV1 && isStream && err == nil && !strings.Contains(segment, "/") && r.Method == http.MethodGet &&
		subtle.ConstantTimeCompare([]byte(r.URL.Query().Get("key")), []byte(a.streamKey(id))) == 1
}
