package httpapi

import (
	_ "embed"
	"net/http"
	"strconv"
)

//go:embed docs.html
var docsPage []byte

// docs is a page for people; it loads nothing from elsewhere.
func (a *API) docs(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(docsPage)))
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(docsPage) // the client may have gone
	return nil
}
