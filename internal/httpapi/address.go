package httpapi

import (
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
)

// address returns the URL of a path of this server as the client of r sees it, through the proxies
// in between.
func (a *API) address(r *http.Request, path string) string { return origin(r) + a.path(r, path) }

// path is address without the origin.
func (a *API) path(r *http.Request, path string) string { return a.prefix(r) + path }

// origin returns the scheme and host by which the client reached this server. Each proxy may append
// to X-Forwarded-Proto: the first value is the client's.
func origin(r *http.Request) string {
	scheme := "http"
	first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Proto"), ",")
	if r.TLS != nil || strings.EqualFold(strings.TrimSpace(first), "https") {
		scheme = "https"
	}
	host := r.Host
	if host == "" { // HTTP/1.0 may omit it
		host = fmt.Sprint(r.Context().Value(http.LocalAddrContextKey))
	}
	return scheme + "://" + host
}

// Prefix matches the beginning of a path that a proxy removes. It does not end with a slash, and
// has no character that is special in HTML, in a shell or in a URL.
var Prefix = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$`)

// maxPrefix bounds the prefix that a header gives, because every answer repeats it.
const maxPrefix = 512

// prefix returns the part of the client's path before the path that the routes see.
func (a *API) prefix(r *http.Request) string { return a.outerPrefix(r) + chosen(r).path }

// outerPrefix returns the part of the client's path that the proxies removed. Each proxy that
// removes a part appends it to X-Forwarded-Prefix, the outermost first. Because anybody can send
// the header, a value that is not a prefix is ignored.
func (a *API) outerPrefix(r *http.Request) string {
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

// below lets a proxy leave PathPrefix in the paths that it passes on.
func (a *API) below(next http.Handler) http.Handler {
	if a.PathPrefix == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, found := strings.CutPrefix(r.URL.EscapedPath(), a.PathPrefix)
		if found && (rest == "" || rest[0] == '/') {
			r = at(r, "/"+strings.TrimPrefix(rest, "/"))
		}
		next.ServeHTTP(w, r)
	})
}

// mostPath bounds a path in the log. An id can take 1536 bytes of it.
const mostPath = 2 << 10

// shownPath returns the path of r for the log. It leaves out the query, which may hold a key.
func shownPath(r *http.Request) string {
	return bounded(r.URL.EscapedPath(), mostPath)
}

// shownMethod returns the method of r for the log. A client can send any word as method.
func shownMethod(r *http.Request) string { return bounded(r.Method, 16) }

func bounded(text string, most int) string {
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

// client returns the address that r comes from. It is the nearest proxy's if there is one.
func client(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
