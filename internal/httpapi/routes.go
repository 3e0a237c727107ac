// Package httpapi says what a client may ask. routes.go is the table of it; every noun has a file.
package httpapi

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/schema"
	"github.com/coggo/coggo/internal/supervisor"
)

// Supervisor is what the API needs of the rest of the server.
type Supervisor interface {
	Create(r prediction.Request, idempotent bool) (p *prediction.Prediction, created bool, err error)
	Perform(watch func() context.Context, r prediction.Request, idempotent bool) (p *prediction.Prediction, created bool, err error)
	Cancel(p *prediction.Prediction, reason supervisor.Reason) error
	Get(id string) (*prediction.Prediction, error)
	List(only prediction.Method, cursor string, limit int) (page []*prediction.Prediction, next string, err error)
	Schema() (*schema.Document, error)
	Health(ctx context.Context) supervisor.Health
}

// Config is what an API needs to know and to use.
type Config struct {
	Supervisor   Supervisor
	Shutdown     func() // begins the end of the server; returns at once
	Metrics      http.Handler
	Bytes        func(in, out int64) // told of each exchange
	Rejected     func(reason string) // told of each prediction that is not accepted
	Refusals     *Refusals           // told of everything that is refused
	Store        Store
	ModelDir     string    // of the model, where its examples are
	Model        string    // owner/name, as clients of Replicate's API see it
	Version      string    // of the server
	Started      time.Time // of the server: since when there is the one version of the model, as those clients see it
	MaxBody      int64
	BodyTimeout  time.Duration // without a byte of a body
	AuthToken    string        // empty: everybody may ask
	CORSOrigins  []string      // "*" or origins; empty: no other site may ask
	AllowedHosts []string      // that a browser on this machine may use as Host, "*" for any
	PathPrefix   string        // a Prefix below which clients see the server; empty: X-Forwarded-Prefix says it
	KeepAlive    time.Duration // between two comments of a stream
	AccessLog    bool          // write a line for each request
	EarlyWatch   bool          // do not defer the watch for a disconnect, see package unsafenet
	Log          *slog.Logger
}

// API serves the HTTP contract.
type API struct {
	Config
	token      [sha256.Size]byte // hash of AuthToken
	page       func() document
	lastHealth atomic.Pointer[healthAnswer]
}

// New returns the handler of the whole API.
func New(c Config) http.Handler {
	a, mux := &API{Config: c, token: sha256.Sum256([]byte(c.AuthToken))}, http.NewServeMux()
	a.page = sync.OnceValue(a.makePage)
	for pattern, h := range map[string]handler{
		"GET /{$}":                      a.discovery,
		"GET /health-check":             a.health,
		"GET /livez":                    a.live,
		"GET /readyz":                   a.ready,
		"GET /openapi.json":             a.openapi,
		"GET /docs":                     a.docs,
		"GET /docs/media":               a.media,
		"GET /docs/examples.json":       a.examples,
		"GET /docs/examples/{path...}":  a.exampleFile,
		"POST /predictions":             a.create(prediction.Predict),
		"GET /predictions":              a.list(""),
		"PUT /predictions/{id}":         a.put(prediction.Predict),
		"GET /predictions/{id}":         a.get(""),
		"GET /predictions/{id}/stream":  a.attach(""),
		"POST /predictions/{id}/cancel": a.cancel(""),
		"POST /trainings":               a.training(a.create(prediction.Train)),
		"GET /trainings":                a.training(a.list(prediction.Train)),
		"PUT /trainings/{id}":           a.training(a.put(prediction.Train)),
		"GET /trainings/{id}":           a.training(a.get(prediction.Train)),
		"GET /trainings/{id}/stream":    a.training(a.attach(prediction.Train)),
		"POST /trainings/{id}/cancel":   a.training(a.cancel(prediction.Train)),
		"POST /shutdown":                a.shutdown,

		"POST /v1/predictions":                             a.rejecting(a.createV1),
		"GET /v1/predictions":                              a.listV1,
		"GET /v1/predictions/{id}":                         a.getV1,
		"GET /v1/predictions/{id}/stream":                  a.streamV1,
		"POST /v1/predictions/{id}/cancel":                 a.cancelV1,
		"GET /v1/models/{owner}/{name}":                    a.modelV1,
		"GET /v1/models/{owner}/{name}/versions":           a.versionsV1,
		"GET /v1/models/{owner}/{name}/versions/{version}": a.versionV1,
		"POST /v1/models/{owner}/{name}/predictions":       a.rejecting(a.createV1),
		"POST /v1/deployments/{owner}/{name}/predictions":  a.rejecting(a.createV1),
		"GET /v1/openapi.json":                             a.openapiV1,
		"POST /v1/files":                                   a.upload,
		"GET /v1/files":                                    a.filesV1,
		"DELETE /v1/files/{id}":                            a.deleteV1,
		"GET /v1/files/{id}":                               a.fileV1,
		"GET /v1/files/{id}/download":                      a.download,
	} {
		if strings.Contains(pattern, " /v1/") {
			h = a.problem(h)
		}
		mux.HandleFunc(pattern, a.handle(a.concerned(pattern, h)))
	}
	mux.Handle("GET /metrics", c.Metrics)
	return a.outside(mux)
}

// outside is what every request passes before it reaches its route.
func (a *API) outside(next http.Handler) http.Handler {
	next = a.literal(a.unrouted(next))
	if a.AuthToken != "" {
		next = a.authorized(next)
	}
	next = a.sites(next)
	if len(a.CORSOrigins) > 0 {
		next = a.cors(next)
	}
	next = a.below(a.counted(next))
	if a.AccessLog {
		next = a.logged(next)
	}
	return next
}

// handler is an HTTP handler that leaves the writing of its error to handle.
type handler func(w http.ResponseWriter, r *http.Request) error

func (a *API) handle(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			a.writeError(w, r, err)
		}
	}
}

// literal makes the path mean what is written, where the mux alone would tidy it and redirect: an
// id may be "." or "..", and a path with an empty segment is no path of ours.
func (a *API) literal(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.EscapedPath()
		if strings.Contains(path, "//") {
			noRoute(w, http.StatusNotFound)
			return
		}
		if strings.Contains(path, "/.") {
			copied, address := *r, *r.URL
			address.RawPath = escapeDots(path)
			copied.URL = &address
			r = &copied
		}
		next.ServeHTTP(w, r)
	})
}

func escapeDots(path string) string {
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		if segment == "." || segment == ".." {
			segments[i] = strings.Repeat("%2E", len(segment))
		}
	}
	return strings.Join(segments, "/")
}

// unrouted answers in JSON where no route matches; the mux alone would answer in text.
func (a *API) unrouted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := routedWriter{withheld{ResponseWriter: w}, r}
		next.ServeHTTP(&out, r)
		if out.refused == 0 {
			return
		}
		w.Header().Del("Content-Type")
		w.Header().Del("X-Content-Type-Options")
		noRoute(w, out.refused)
	})
}

// noRoute answers what is nothing of ours. It is not told in the log: whoever scans the network
// asks for that.
func noRoute(w http.ResponseWriter, status int) {
	writeJSON(w, status, plainError(http.StatusText(status)))
}

// withheld keeps the status of an answer that net/http gives by itself, in text, and drops its
// body.
type withheld struct {
	http.ResponseWriter
	refused int // the status, 0 for any other answer
}

func (w *withheld) Write(p []byte) (int, error) {
	if w.refused != 0 {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach what is underneath.
func (w *withheld) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// routedWriter withholds what the mux answers. It knows that by the pattern that the mux has noted
// in the request: to ask for the route first would cost a short answer a tenth of its time.
type routedWriter struct {
	withheld
	request *http.Request
}

func (w *routedWriter) WriteHeader(status int) {
	if w.request.Pattern == "" {
		w.refused = status
		return
	}
	w.ResponseWriter.WriteHeader(status)
}
