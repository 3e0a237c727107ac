package httpapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/coggo/coggo/internal/httpapi"
	"github.com/coggo/coggo/internal/pool"
	"github.com/coggo/coggo/internal/prediction"
)

func TestTheAccessLogHasALineForEachExchange(t *testing.T) {
	for name, test := range map[string]struct {
		method, path string
		body         string
		headers      []string
		want         map[string]any // but for its seconds; nil: no line
	}{
		"a prediction": {
			method: "POST", path: "/predictions", body: `{"input": {"secret": 1}}`,
			want: map[string]any{"method": "POST", "path": "/predictions", "status": 200.0, "client": "192.0.2.1", "id": "new"},
		},
		"a prediction by its path": {
			method: "GET", path: "/predictions/x?token=secret",
			want: map[string]any{"method": "GET", "path": "/predictions/x", "status": 200.0, "client": "192.0.2.1", "id": "x"},
		},
		"one that is not there": {
			method: "GET", path: "/predictions/y", headers: []string{"Authorization: Bearer secret"},
			want: map[string]any{"method": "GET", "path": "/predictions/y", "status": 404.0, "client": "192.0.2.1", "id": "y"},
		},
		"no route": {
			method: "GET", path: "/wp-admin",
			want: map[string]any{"method": "GET", "path": "/wp-admin", "status": 404.0, "client": "192.0.2.1"},
		},
		"through proxies": {
			method: "GET", path: "/openapi.json", headers: []string{"X-Forwarded-For: 203.0.113.7", "X-Forwarded-For: 10.0.0.1"},
			want: map[string]any{"method": "GET", "path": "/openapi.json", "status": 200.0, "client": "192.0.2.1", "forwarded_for": "203.0.113.7, 10.0.0.1"},
		},
		"a long list of proxies": {
			method: "GET", path: "/openapi.json", headers: []string{"X-Forwarded-For: " + strings.Repeat("1", 300)},
			want: map[string]any{"method": "GET", "path": "/openapi.json", "status": 200.0, "client": "192.0.2.1", "forwarded_for": strings.Repeat("1", 256) + "…"},
		},
		"a long method": {
			method: strings.Repeat("M", 20), path: "/docs",
			want: map[string]any{"method": strings.Repeat("M", 16) + "…", "path": "/docs", "status": 405.0, "client": "192.0.2.1"},
		},
		"HEAD": {
			method: "HEAD", path: "/openapi.json",
			want: map[string]any{"method": "HEAD", "path": "/openapi.json", "status": 200.0, "client": "192.0.2.1", "bytes": 0.0},
		},
		"a probe that succeeds":    {method: "GET", path: "/livez"},
		"a probe below the prefix": {method: "GET", path: "/models/one/health-check"},
		"a probe that fails": {
			method: "GET", path: "/readyz",
			want: map[string]any{"method": "GET", "path": "/readyz", "status": 503.0, "client": "192.0.2.1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t, func(c *httpapi.Config) { c.AccessLog, c.PathPrefix = true, "/models/one" })
			a.model.health.Status = pool.Starting
			a.model.running = prediction.New(prediction.Request{ID: "x", Method: prediction.Predict}, prediction.Limits{})
			w := a.ask(test.method, test.path, test.body, test.headers...)
			told := a.log.of(t, "access")
			if test.want == nil {
				if told != nil {
					t.Errorf("the log says %v", told)
				}
				return
			}
			if len(told) != 1 {
				t.Fatalf("the log says %v", told)
			}
			line := told[0]
			if seconds, ok := line["seconds"].(float64); !ok || seconds < 0 {
				t.Errorf("seconds are %v", line["seconds"])
			}
			if test.want["bytes"] == nil {
				test.want["bytes"] = float64(w.Body.Len())
			}
			for _, name := range []string{"seconds", "time", "level", "msg"} {
				delete(line, name)
			}
			if !reflect.DeepEqual(line, test.want) {
				t.Errorf("the log says %v, not %v", line, test.want)
			}
			if strings.Contains(a.log.String(), "secret") {
				t.Errorf("the log has a secret: %s", a.log)
			}
		})
	}
}

func TestTheAccessLogSaysThatTheClientHadLeft(t *testing.T) {
	a := newAPI(t, func(c *httpapi.Config) { c.AccessLog = true })
	gone, leave := context.WithCancel(t.Context())
	leave()
	a.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(gone, http.MethodPost, "/predictions", nil))
	if told := a.log.of(t, "access"); len(told) != 1 || told[0]["status"] != 499.0 {
		t.Errorf("the log says %v", told)
	}
}

func TestATokenOpensAllPathsAndProbesNeedNoToken(t *testing.T) {
	for name, test := range map[string]struct {
		path    string
		headers []string
		status  int
	}{
		"no token":          {"/predictions", nil, 401},
		"the token":         {"/predictions", []string{"Authorization: Bearer secret"}, 200},
		"in small letters":  {"/predictions", []string{"Authorization: bearer secret"}, 200},
		"another one":       {"/predictions", []string{"Authorization: Bearer secrets"}, 401},
		"another scheme":    {"/predictions", []string{"Authorization: Basic secret"}, 401},
		"no scheme":         {"/predictions", []string{"Authorization: secret"}, 401},
		"a liveness probe":  {"/livez", nil, 200},
		"a readiness probe": {"/readyz", nil, 200},
		"health":            {"/health-check", nil, 200},
		"a probe's parent":  {"/livez/", nil, 401},
		"a key of a stream": {"/predictions/x/stream?key=", nil, 401},
		"no key":            {"/v1/predictions/x/stream?key=", nil, 401},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t, func(c *httpapi.Config) { c.AuthToken = "secret" })
			a.model.running = prediction.New(prediction.Request{ID: "x", Method: prediction.Predict}, prediction.Limits{})
			a.model.health.Setup.Logs = "what the model has printed"
			w := a.ask("GET", test.path, "", test.headers...)
			if challenged := w.Header().Get("WWW-Authenticate") != ""; w.Code != test.status || challenged != (test.status == 401) {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			if strings.Contains(w.Body.String(), "printed") {
				t.Errorf("it learns what the model has printed: %s", w.Body)
			}
		})
	}
}
