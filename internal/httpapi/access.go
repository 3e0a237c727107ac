package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// statusClientGone is what the access log says of an exchange whose client left before an answer.
const statusClientGone = 499

// probes are left out of the access log while they succeed: they would be most of it.
var probes = map[string]bool{"/livez": true, "/readyz": true, "/health-check": true, "/metrics": true}

// exchange is one request with its answer, for the access log. It passes on what is written;
// whoever needs more of the connection reaches it through Unwrap.
type exchange struct {
	http.ResponseWriter
	gone   func() error // not nil once the client has left
	id     string       // of the prediction, empty when the request concerns none
	status int          // 0 before the answer
	bytes  int64        // of its body
}

type exchangeKey struct{}

// logged writes a line for each request once it was answered; a stream is answered when it ends. Of
// the request it shows no query, no header but X-Forwarded-For, and no body: they may hold secrets.
func (a *API) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		e := &exchange{ResponseWriter: w, gone: r.Context().Err}
		defer func() { a.logExchange(e, r, time.Since(begun)) }()
		next.ServeHTTP(e, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, e)))
	})
}

func (a *API) logExchange(e *exchange, r *http.Request, took time.Duration) {
	e.answer(http.StatusOK) // as net/http answers where nothing was written
	if probes[strings.TrimPrefix(r.URL.Path, a.PathPrefix)] && e.status < http.StatusBadRequest {
		return
	}
	if r.Method == http.MethodHead {
		e.bytes = 0 // net/http leaves out what the handler has written
	}
	keys := []any{"method", shownMethod(r), "path", shownPath(r), "status", e.status, "bytes", e.bytes,
		"seconds", float64(took.Microseconds()) / 1e6, "client", client(r)}
	if via := r.Header["X-Forwarded-For"]; len(via) > 0 {
		keys = append(keys, "forwarded_for", bounded(strings.Join(via, ", "), mostForwarded))
	}
	if e.id != "" {
		keys = append(keys, "id", bounded(e.id, mostPath))
	}
	a.Log.Info("access", keys...)
}

// mostForwarded bounds what the log shows of X-Forwarded-For, which anybody can send.
const mostForwarded = 256

// concerns notes which prediction r is about, where there is an access log.
func (a *API) concerns(r *http.Request, id string) {
	if !a.AccessLog {
		return
	}
	if e, ok := r.Context().Value(exchangeKey{}).(*exchange); ok {
		e.id = id
	}
}

// concerned is a handler of pattern that notes the id in the path.
func (a *API) concerned(pattern string, h handler) handler {
	if !a.AccessLog || !strings.Contains(pattern, "predictions/{id}") && !strings.Contains(pattern, "trainings/{id}") {
		return h
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		a.concerns(r, r.PathValue("id"))
		return h(w, r)
	}
}

// answer notes the status when the answer begins.
func (e *exchange) answer(status int) {
	switch {
	case e.status != 0:
	case e.gone() != nil:
		e.status = statusClientGone
	default:
		e.status = status
	}
}

func (e *exchange) WriteHeader(status int) {
	if status >= http.StatusOK { // 1xx comes before the answer
		e.answer(status)
	}
	e.ResponseWriter.WriteHeader(status)
}

func (e *exchange) Write(p []byte) (int, error) {
	e.answer(http.StatusOK)
	n, err := e.ResponseWriter.Write(p)
	e.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach what is underneath.
func (e *exchange) Unwrap() http.ResponseWriter { return e.ResponseWriter }
