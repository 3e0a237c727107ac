package httpapi

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// address is the URL by which the client of r reaches the path of this server, through the proxies
// in between.
func (a *API) address(r *http.Request, path string) string { return origin(r) + a.path(r, path) }

// path is address without the origin.
func (a *API) path(r *http.Request, path string) string { return a.prefix(r) + path }

// origin is how the client reached this server. Each proxy may add its part to X-Forwarded-Proto:
// the first is the client's.
func origin(r *http.Request) string {
	scheme := "http"
	if first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Proto"), ","); r.TLS != nil || strings.EqualFold(strings.TrimSpace(first), "https") {
		scheme = "https"
	}
	host := r.Host
	if host == "" { // HTTP/1.0 can do without
		host = fmt.Sprint(r.Context().Value(http.LocalAddrContextKey))
	}
	return scheme + "://" + host
}

// Prefix matches the beginning of a path that a proxy takes away. It ends without a slash, and has
// nothing in it that means something to HTML, to a shell or to a URL.
var Prefix = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$`)

// maxPrefix bounds the prefix that a header says: it stands in every answer.
const maxPrefix = 512

// prefix is what the proxies have taken away from the path that the client has asked for. Proxies
// that each take a part away add it to X-Forwarded-Prefix, the outermost first. What isn't a prefix
// is ignored: anybody can send the header.
func (a *API) prefix(r *http.Request) string {
	said := r.Header["X-Forwarded-Prefix"]
	if a.PathPrefix != "" || len(said) == 0 {
		return a.PathPrefix
	}
	whole := ""
	for part := range strings.SplitSeq(strings.Join(said, ","), ",") {
		part = strings.TrimSuffix(strings.TrimSpace(part), "/")
		if whole += part; len(whole) > maxPrefix || part != "" && !Prefix.MatchString(part) {
			return ""
		}
	}
	return whole
}

// below lets a proxy keep PathPrefix in the paths that it passes on.
func (a *API) below(next http.Handler) http.Handler {
	if a.PathPrefix == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, found := strings.CutPrefix(r.URL.EscapedPath(), a.PathPrefix)
		if found && (rest == "" || rest[0] == '/') {
			copied, address := *r, *r.URL
			address.RawPath = "/" + strings.TrimPrefix(rest, "/")
			address.Path, _ = url.PathUnescape(address.RawPath) // it was read before
			copied.URL = &address
			r = &copied
		}
		next.ServeHTTP(w, r)
	})
}

// mostPath bounds a path in the log. An id takes up to 1536 bytes of one.
const mostPath = 2 << 10

// shownPath is the path of r for the log: without the query, which may hold a key.
func shownPath(r *http.Request) string {
	return bounded(r.URL.EscapedPath(), mostPath)
}

// shownMethod is the method of r for the log: it may be any word.
func shownMethod(r *http.Request) string { return bounded(r.Method, 16) }

func bounded(text string, most int) string {
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

// client is the address that r comes from: of the nearest proxy, if there is one.
func client(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
