package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coggo/coggo/internal/httpapi"
	"github.com/coggo/coggo/internal/prediction"
)

func TestARequestIsReadFromItsBodyAndItsHeaders(t *testing.T) {
	for name, test := range map[string]struct {
		method, path string
		body         string
		headers      []string
		status       int
		reads        func(r prediction.Request) bool
		idempotent   bool
	}{
		"nothing at all":      {status: 200, reads: func(r prediction.Request) bool { return r.Method == prediction.Predict && !r.Detached }},
		"an id":               {body: `{"id": "x"}`, status: 200, reads: func(r prediction.Request) bool { return r.ID == "x" }},
		"an id in the path":   {method: "PUT", path: "/predictions/x", status: 200, idempotent: true, reads: func(r prediction.Request) bool { return r.ID == "x" }},
		"the same id in both": {method: "PUT", path: "/predictions/x", body: `{"id": "x"}`, status: 200, idempotent: true, reads: func(r prediction.Request) bool { return r.ID == "x" }},
		"a training":          {path: "/trainings", status: 200, reads: func(r prediction.Request) bool { return r.Method == prediction.Train }},
		"traces": {
			headers: []string{"Traceparent: 00-1-2-01", "Tracestate: a=b"}, status: 200,
			reads: func(r prediction.Request) bool { return r.TraceParent == "00-1-2-01" && r.TraceState == "a=b" },
		},
		"a deadline":              {headers: []string{"Cancel-After: 1m30s"}, status: 200, reads: func(r prediction.Request) bool { return r.CancelAfter == 90*time.Second }},
		"a deadline in seconds":   {headers: []string{"Cancel-After: 90"}, status: 200, reads: func(r prediction.Request) bool { return r.CancelAfter == 90*time.Second }},
		"respond-async":           {headers: []string{"Prefer: respond-async"}, status: 202, reads: func(r prediction.Request) bool { return r.Detached }},
		"wait":                    {headers: []string{`Prefer: foo="a, b", wait=5`}, status: 200, reads: func(r prediction.Request) bool { return r.Detached }},
		"a JSON type":             {body: `{}`, headers: []string{"Content-Type: application/json; charset=utf-8"}, status: 200},
		"a type that is JSON too": {body: `{}`, headers: []string{"Content-Type: application/cloudevents+json"}, status: 200},
		"no coding":               {body: `{}`, headers: []string{"Content-Encoding: identity"}, status: 200},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t, nil)
			a.model.train = true
			method, path := "POST", "/predictions"
			if test.method != "" {
				method = test.method
			}
			if test.path != "" {
				path = test.path
			}
			w := a.ask(method, path, test.body, test.headers...)
			if w.Code != test.status || len(a.model.created) != 1 {
				t.Fatalf("got %d %s", w.Code, w.Body)
			}
			if got := a.model.created[0]; test.reads != nil && !test.reads(got) || a.model.idempotent != test.idempotent {
				t.Errorf("idempotent %v, %+v", a.model.idempotent, got)
			}
			if a.in != int64(len(test.body)) || a.out != int64(w.Body.Len()) {
				t.Errorf("%d bytes in and %d out were told, of %d and %d", a.in, a.out, len(test.body), w.Body.Len())
			}
		})
	}
}

func TestARequestThatCannotBeReadIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		method, path string
		body         string
		headers      []string
		status       int
		says         string
	}{
		"not JSON":                   {body: `{"input"`, status: 400},
		"not an object":              {body: `3`, status: 422, says: ": "},
		"too large":                  {body: `"` + strings.Repeat("x", 64) + `"`, status: 413, says: "larger than 64 bytes, see --max-body"},
		"another type":               {body: `a=b`, headers: []string{"Content-Type: application/x-www-form-urlencoded"}, status: 415, says: "must be application/json"},
		"a blank type":               {body: `{}`, headers: []string{"Content-Type: ;"}, status: 415, says: "must be application/json"},
		"a coding":                   {body: `{}`, headers: []string{"Content-Encoding: gzip"}, status: 415, says: "gzip"},
		"a short deadline":           {headers: []string{"Cancel-After: 4.9"}, status: 422, says: "header.Cancel-After: must be a time of at least 5s"},
		"a negative deadline":        {headers: []string{"Cancel-After: -90"}, status: 422, says: "header.Cancel-After"},
		"an endless deadline":        {headers: []string{"Cancel-After: 1e300"}, status: 422, says: "header.Cancel-After"},
		"a deadline without a time":  {headers: []string{"Cancel-After: soon"}, status: 422, says: "header.Cancel-After"},
		"another id than the path":   {method: "PUT", path: "/predictions/x", body: `{"id": "y"}`, status: 422, says: "id: must be the id of the path"},
		"a training without train":   {path: "/trainings", status: 404, says: "no train"},
		"a stream of a model of one": {headers: []string{"Accept: text/event-stream"}, status: 406},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t, func(c *httpapi.Config) { c.MaxBody = 64 })
			method, path := "POST", "/predictions"
			if test.method != "" {
				method = test.method
			}
			if test.path != "" {
				path = test.path
			}
			w := a.ask(method, path, test.body, test.headers...)
			said, _ := object(t, w.Body.Bytes())["error"].(string)
			if w.Code != test.status || !strings.Contains(said, test.says) {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			if len(a.model.created) > 0 {
				t.Error("a prediction was created")
			}
		})
	}
}

func TestACancelNamesItsPrediction(t *testing.T) {
	a := newAPI(t, nil)
	a.model.running = prediction.New(prediction.Request{ID: "x", Method: prediction.Predict}, prediction.Limits{})
	if w := a.ask("POST", "/predictions/x/cancel", ""); w.Code != http.StatusOK || w.Body.String() != "{}" || a.model.canceled != "x" {
		t.Errorf("got %d %s, canceled %q", w.Code, w.Body, a.model.canceled)
	}
	if w := a.ask("POST", "/predictions/y/cancel", ""); w.Code != http.StatusNotFound || w.Body.String() != "{}" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}
