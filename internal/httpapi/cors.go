package httpapi

import (
	"net/http"
	"slices"
	"strings"
)

// requestHeaders are the headers that the API reads. A page may send only headers that CORS allows,
// so cors allows them all. A test fails if the code reads a header that is not in the list.
var requestHeaders = []string{
	"Authorization", "Content-Type", "Prefer", "Accept", "Cancel-After", "Last-Event-ID",
	"Traceparent", "Tracestate",
}

// cors lets pages of the configured origins use the API from a browser.
func (a *API) cors(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		h := w.Header()
		h.Add("Vary", "Origin")
		allowed := slices.Contains(a.CORSOrigins, origin) || slices.Contains(a.CORSOrigins, "*")
		if origin == "" || !allowed {
			next.ServeHTTP(w, r)
			return
		}
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", "Retry-After, Location, Coggo-Worker")
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
