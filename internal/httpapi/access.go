package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// statusClientGone is the status in the access log if the client left before it got an answer.
const statusClientGone = 499

// probes are the paths that the access log leaves out while they succeed: they would fill it.
var probes = map[string]bool{
	"/livez": true, "/readyz": true, "/health-check": true, "/metrics": true, "/queue": true,
}

// exchange is one request with its answer, for the access log. It passes everything on.
// http.ResponseController reaches the connection through Unwrap.
type exchange struct {
	http.ResponseWriter
	gone   func() error // not nil if the client has left
	id     string       // of the prediction; empty if the request is not about one
	status int          // 0 before the answer
	bytes  int64        // of its body
}

type exchangeKey struct{}

// logged writes a log line for each answered request. A stream is answered when it ends. Because
// the query, the headers and the body may hold secrets, the line has none of them but
// X-Forwarded-For.
func (a *API) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		e := &exchange{ResponseWriter: w, gone: r.Context().Err}
		defer func() { a.logExchange(e, r, time.Since(begun)) }()
		next.ServeHTTP(e, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, e)))
	})
}

func (a *API) logExchange(e *exchange, r *http.Request, took time.Duration) {
	e.answer(http.StatusOK) // the default of net/http
	if probes[strings.TrimPrefix(r.URL.Path, a.PathPrefix)] && e.status < http.StatusBadRequest {
		return
	}
	if r.Method == http.MethodHead {
		e.bytes = 0 // net/http drops the body
	}
	keys := []any{
		"method", shownMethod(r), "path", shownPath(r), "status", e.status, "bytes", e.bytes,
		"seconds", float64(took.Microseconds()) / 1e6, "client", client(r),
	}
	if via := r.Header["X-Forwarded-For"]; len(via) > 0 {
		keys = append(keys, "forwarded_for", bounded(strings.Join(via, ", "), mostForwarded))
	}
	if e.id != "" {
		keys = append(keys, "id", bounded(e.id, mostPath))
	}
	a.Log.Info("access", keys...)
}

// mostForwarded bounds X-Forwarded-For in the log, because anybody can send it.
const mostForwarded = 256

// concerns records the prediction that r is about, if there is an access log.
func (a *API) concerns(r *http.Request, id string) {
	if !a.AccessLog {
		return
	}
	if e, ok := r.Context().Value(exchangeKey{}).(*exchange); ok {
		e.id = id
	}
}

// concerned wraps the handler of pattern: it records the id in the path.
func (a *API) concerned(pattern string, h handler) handler {
	hasID := strings.Contains(pattern, "predictions/{id}") ||
		strings.Contains(pattern, "trainings/{id}")
	if !a.AccessLog || !hasID {
		return h
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		a.concerns(r, r.PathValue("id"))
		return h(w, r)
	}
}

// answer records the status of the answer.
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
	if status >= http.StatusOK { // 1xx precedes the answer
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

// Unwrap lets http.ResponseController reach the wrapped writer.
func (e *exchange) Unwrap() http.ResponseWriter { return e.ResponseWriter }
