// Package httpapi is the HTTP API. routes.go has the table of routes; every noun has a file.
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

// Supervisor is the rest of the server as the API sees it. A name is OWNER/NAME[:VERSION].
type Supervisor interface {
	predictions
	// List lists the predictions of a model, of all without a name.
	List(name string, only prediction.Method, cursor string, limit int) (
		page []*prediction.Prediction, next string, err error,
	)
	// Model returns the model that a name or a version mean; both may be empty.
	Model(name, version string) (schema.Model, error)
	Models() []schema.Model
	Health(ctx context.Context, name string) supervisor.Health
}

// predictions are the calls that concern one prediction. Request.Model is that of a new one.
type predictions interface {
	Create(r prediction.Request, idempotent bool) (
		p *prediction.Prediction, created bool, err error,
	)
	Perform(watch func() context.Context, r prediction.Request, idempotent bool) (
		p *prediction.Prediction, created bool, err error,
	)
	Cancel(p *prediction.Prediction, reason supervisor.Reason) error
	Get(id string) (*prediction.Prediction, error)
	// Stream is Get for a reader of the events.
	Stream(id string) (*prediction.Prediction, error)
}

// Config is what the API needs from the rest of the server.
type Config struct {
	Supervisor Supervisor
	Shutdown   func() // starts the shutdown; returns at once
	Metrics    http.Handler
	Bytes      func(in, out int64) // called for each exchange
	Rejected   func(reason string) // called for each prediction that is not accepted
	Refusals   *Refusals           // gets every refusal
	Store      Store
	// How the queue of a model is that servers share, of the only model if the name is empty; nil
	// without a queue.
	Queue        func(ctx context.Context, name string) (supervisor.QueueState, error)
	ModelDir     string // of the model, with its examples
	Model        string // OWNER/NAME[:VERSION] that paths without a name mean; empty: the only one
	Shared       bool   // there may be several models
	Version      string // of the server
	MaxBody      int64
	BodyTimeout  time.Duration // how long a body may pause
	AuthToken    string        // empty: anybody may ask
	CORSOrigins  []string      // "*" or origins; empty: no other site may ask
	AllowedHosts []string      // hosts that a browser on this machine may use, "*" for any
	// The Prefix below which clients see the server; empty: X-Forwarded-Prefix says it.
	PathPrefix string
	KeepAlive  time.Duration // between two comments of a stream
	AccessLog  bool          // write a line for each request
	EarlyWatch bool          // start the watch for a disconnect at once, see package unsafenet
	Log        *slog.Logger
}

// API serves the HTTP contract.
type API struct {
	Config
	token      [sha256.Size]byte // of AuthToken
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
		"GET /queue":                    a.queueState,
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
		"GET /v1/models":                                   a.modelsV1,
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
	if c.Shared {
		mux.HandleFunc("GET /models", a.handle(a.models))
	}
	return a.outside(mux)
}

// outside wraps the routes in everything that each request passes first.
func (a *API) outside(next http.Handler) http.Handler {
	next = a.literal(a.unrouted(next))
	if a.AuthToken != "" {
		next = a.authorized(next)
	}
	next = a.sites(next)
	if len(a.CORSOrigins) > 0 {
		next = a.cors(next)
	}
	next = a.below(a.ofModel(a.counted(next)))
	if a.AccessLog {
		next = a.logged(next)
	}
	return next
}

// handler is an HTTP handler that returns its error. handle writes it.
type handler func(w http.ResponseWriter, r *http.Request) error

func (a *API) handle(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			a.writeError(w, r, err)
		}
	}
}

// literal turns off ServeMux's path cleaning, which would redirect ids such as "." and "..", and
// paths with an empty segment, which are not paths of this API.
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

// unrouted answers in JSON if no route matches; the mux alone would answer in plain text.
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

// noRoute answers a request for a path or method that does not exist. It is not logged, because
// anybody who scans the network causes it.
func noRoute(w http.ResponseWriter, status int) {
	writeJSON(w, status, plainError(http.StatusText(status)))
}

// withheld drops the body of an error that net/http writes itself, in plain text, and keeps its
// status.
type withheld struct {
	http.ResponseWriter
	refused int // the status of a dropped answer, or 0
}

func (w *withheld) Write(p []byte) (int, error) {
	if w.refused != 0 {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the wrapped writer.
func (w *withheld) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// routedWriter withholds the answers of the mux itself. It recognizes them because the mux has set
// no pattern in the request. To ask the mux for the route first would cost a short answer a tenth
// of its time.
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
