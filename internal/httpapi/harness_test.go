package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coggo/coggo/internal/httpapi"
	"github.com/coggo/coggo/internal/pool"
	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/schema"
	"github.com/coggo/coggo/internal/supervisor"
)

// model is a supervisor whose predictions end at once, unless they run.
type model struct {
	refuses error // what Create and Perform return
	running *prediction.Prediction
	train   bool
	health  supervisor.Health

	created    []prediction.Request // those that were accepted
	idempotent bool                 // the last one was
	canceled   string               // the id of the last cancel
}

func (m *model) Create(r prediction.Request, idempotent bool) (*prediction.Prediction, bool, error) {
	if m.refuses != nil {
		return nil, false, m.refuses
	}
	if r.ID == "" {
		r.ID = "new"
	}
	m.created, m.idempotent = append(m.created, r), idempotent
	p := prediction.New(r, prediction.Limits{})
	p.Start(at)
	p.Finish(prediction.Result{Status: prediction.Succeeded, Output: prediction.Value{Raw: []byte(`"done"`)}, CompletedAt: at.Add(time.Second)})
	p.Publish()
	return p, true, nil
}

func (m *model) Perform(_ func() context.Context, r prediction.Request, idempotent bool) (*prediction.Prediction, bool, error) {
	return m.Create(r, idempotent)
}

func (m *model) Cancel(p *prediction.Prediction, _ supervisor.Reason) error {
	m.canceled = p.Request.ID
	return nil
}

func (m *model) Get(id string) (*prediction.Prediction, error) {
	if m.running != nil && m.running.Request.ID == id {
		return m.running, nil
	}
	return nil, prediction.Refuse(prediction.NotFound, "no prediction has this id")
}

func (m *model) Stream(id string) (*prediction.Prediction, error) { return m.Get(id) }

func (m *model) List(prediction.Method, string, int) ([]*prediction.Prediction, string, error) {
	if m.running == nil {
		return nil, "", m.refuses
	}
	return []*prediction.Prediction{m.running}, "", m.refuses
}

func (m *model) Schema() (*schema.Document, error) {
	text := `{"openapi": "3.0.2", "components": {"schemas": {"Input": {"type": "object", "properties": {}}}}}`
	if m.train {
		text = strings.Replace(text, `"schemas": {`, `"schemas": {"TrainingInput": {"type": "object", "properties": {}}, `, 1)
	}
	return schema.Parse([]byte(text))
}

func (m *model) Health(context.Context) supervisor.Health { return m.health }

// at is when everything happens.
var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// api is the API of a model, with what it tells the rest of the server.
type api struct {
	http.Handler
	model    *model
	log      *lines
	in, out  int64
	rejected []string
	shutDown bool
}

func newAPI(t *testing.T, change func(*httpapi.Config)) *api {
	t.Helper()
	a := &api{model: &model{health: supervisor.Health{Summary: supervisor.Summary{Status: pool.Ready, Max: 1}}}, log: &lines{}}
	log := slog.New(slog.NewJSONHandler(a.log, nil))
	refusals := httpapi.NewRefusals(log)
	t.Cleanup(refusals.Close)
	c := httpapi.Config{
		Supervisor: httpapi.OneModel{One: a.model, Name: "owner/name", Since: at}, Shutdown: func() { a.shutDown = true }, Metrics: http.NotFoundHandler(),
		Bytes:    func(in, out int64) { a.in, a.out = in, out },
		Rejected: func(reason string) { a.rejected = append(a.rejected, reason) },
		Refusals: refusals, Model: "owner/name", Version: "1.2.3",
		MaxBody: 1 << 20, BodyTimeout: 10 * time.Second, KeepAlive: time.Second, Log: log,
	}
	if change != nil {
		change(&c)
	}
	a.Handler = httpapi.New(c)
	return a
}

// ask sends one request. Each header is "Name: value".
func (a *api) ask(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, io.NopCloser(strings.NewReader(body)))
	r.ContentLength = int64(len(body))
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		if name == "Host" {
			r.Host = value
		} else {
			r.Header.Add(name, value)
		}
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w
}

// object is the JSON object in text.
func object(t *testing.T, text []byte) (members map[string]any) {
	t.Helper()
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return members
}

// lines is a log that tests can read, a JSON object in each line.
type lines struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// of returns the lines with that message.
func (l *lines) of(t *testing.T, message string) (found []map[string]any) {
	t.Helper()
	for line := range strings.Lines(l.String()) {
		if members := object(t, []byte(line)); members["msg"] == message {
			found = append(found, members)
		}
	}
	return found
}
