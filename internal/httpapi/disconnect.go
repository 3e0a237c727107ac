package httpapi

import (
	"context"
	"net/http"

	"github.com/coggo/coggo/internal/unsafenet"
)

// deferWatch keeps net/http from watching for a disconnect as soon as it has read the body of r.
// The returned function starts the watch, and returns a context that is done when the client
// leaves.
func (a *API) deferWatch(r *http.Request) func() context.Context {
	start := func() {}
	if !a.EarlyWatch {
		body := r.Body
		if counting, ok := body.(*countingReader); ok {
			body = counting.ReadCloser
		}
		start = unsafenet.DeferWatch(body)
	}
	return func() context.Context {
		start()
		return leaving(r.Context())
	}
}
