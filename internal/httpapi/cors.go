package httpapi

import (
	"net/http"
	"slices"
	"strings"
)

// requestHeaders are the headers by which a client asks for something. A page may send only those of
// them that CORS allows, so it allows them all. A test finds a header that the code reads and this
// list lacks.
var requestHeaders = []string{
	"Authorization", "Content-Type", "Prefer", "Accept", "Cancel-After", "Last-Event-ID", "Traceparent", "Tracestate",
}

// cors lets pages of the configured origins use the API from a browser.
func (a *API) cors(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		h := w.Header()
		h.Add("Vary", "Origin")
		if origin == "" || !slices.Contains(a.CORSOrigins, origin) && !slices.Contains(a.CORSOrigins, "*") {
			next.ServeHTTP(w, r)
			return
		}
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", "Retry-After, Location")
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, DELETE")
			h.Set("Access-Control-Allow-Headers", strings.Join(requestHeaders, ", "))
			h.Set("Access-Control-Max-Age", "86400")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}
