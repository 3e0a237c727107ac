package httpapi_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coggo/coggo/internal/prediction"
)

func TestARefusalHasItsStatus(t *testing.T) {
	problem := prediction.Problem{Loc: []any{"body", "input", "n"}, Msg: "must be a number", Type: "type_error"}
	for code, test := range map[prediction.Code]struct {
		err    error // nil: a plain one of the code
		status int
		body   string // its members, the message as MSG
		retry  string
	}{
		prediction.Malformed:     {status: 400},
		prediction.NotFound:      {status: 404},
		prediction.NotAcceptable: {status: 406},
		prediction.TooLarge:      {status: 413},
		prediction.Conflict:      {status: 409, body: `{"detail":"MSG","error":"MSG","status":"failed"}`},
		prediction.Busy:          {err: prediction.RefuseFor(1500*time.Millisecond, prediction.Busy, "MSG"), status: 409, body: `{"detail":"MSG","error":"MSG","status":"failed"}`, retry: "2"},
		prediction.QueueFull:     {err: fmt.Errorf("wrapped: %w", prediction.RefuseFor(time.Second, prediction.QueueFull, "MSG")), status: 429, body: `{"detail":"MSG","error":"MSG","status":"failed"}`, retry: "1"},
		prediction.NotReady:      {err: prediction.RefuseFor(time.Nanosecond, prediction.NotReady, "MSG"), status: 503, body: `{"detail":"MSG","error":"MSG","status":"failed"}`, retry: "1"},
		prediction.Draining:      {status: 503, body: `{"detail":"MSG","error":"MSG","status":"failed"}`},
		prediction.Invalid: {
			err: prediction.InvalidRequest(problem), status: 422,
			body: `{"detail":[{"loc":["body","input","n"],"msg":"must be a number","type":"type_error"}],"error":"input.n: must be a number"}`,
		},
	} {
		t.Run(string(code), func(t *testing.T) {
			a := newAPI(t, nil)
			if a.model.refuses = test.err; test.err == nil {
				a.model.refuses = prediction.Refuse(code, "MSG")
			}
			if test.body == "" {
				test.body = `{"detail":"MSG","error":"MSG"}`
			}
			w := a.ask("POST", "/predictions", `{}`)
			if w.Code != test.status || w.Body.String() != test.body || w.Header().Get("Retry-After") != test.retry {
				t.Errorf("got %d, Retry-After %q, %s", w.Code, w.Header().Get("Retry-After"), w.Body)
			}
			if !slices.Equal(a.rejected, []string{string(code)}) {
				t.Errorf("rejected by %v", a.rejected)
			}
			if told := a.log.of(t, "refused"); len(told) != 1 || told[0]["reason"] != string(code) || told[0]["path"] != "/predictions" {
				t.Errorf("the log says %v", told)
			}
		})
	}
}

func TestEachCodeHasAStatus(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../prediction/error.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		code := strings.Trim(spec.Values[0].(*ast.BasicLit).Value, `"`)
		a := newAPI(t, nil)
		a.model.refuses = prediction.Refuse(prediction.Code(code), "no")
		if w := a.ask("POST", "/predictions", `{}`); w.Code < 400 || w.Code == 500 {
			t.Errorf("%s has the status %d", code, w.Code)
		}
		codes++
		return false
	})
	if codes < 10 {
		t.Errorf("only %d codes were found", codes)
	}
}

func TestTheTextOfAnInternalErrorStaysInTheLog(t *testing.T) {
	a := newAPI(t, nil)
	a.model.refuses = errors.New("open /secret: no such file")
	w := a.ask("POST", "/predictions?key=k", `{}`)
	if w.Code != http.StatusInternalServerError || w.Body.String() != `{"detail":"internal error","error":"internal error"}` {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if told := a.log.of(t, "request"); len(told) != 1 || told[0]["error"] != "open /secret: no such file" || told[0]["path"] != "/predictions" {
		t.Errorf("the log says %v", told)
	}
	if !slices.Equal(a.rejected, []string{"internal"}) {
		t.Errorf("rejected by %v", a.rejected)
	}
}

func TestARequestWithoutARouteIsAnsweredInJSON(t *testing.T) {
	for _, test := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/nothing", 404, ""},
		{"GET", "//predictions", 404, ""},
		{"GET", "/predictions//cancel", 404, ""},
		{"GET", "/predictions/x/", 404, ""},
		{"DELETE", "/predictions", 405, "GET, HEAD, POST"},
		{"POST", "/health-check", 405, "GET, HEAD"},
	} {
		a := newAPI(t, nil)
		w := a.ask(test.method, test.path, "")
		text := http.StatusText(test.status)
		if w.Code != test.status || w.Body.String() != fmt.Sprintf(`{"detail":%q,"error":%[1]q}`, text) ||
			w.Header().Get("Allow") != test.allow || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %d, %v, %s", test.method, test.path, w.Code, w.Header(), w.Body)
		}
		if a.log.String() != "" {
			t.Errorf("%s %s is told in the log: %s", test.method, test.path, a.log)
		}
	}
}

func TestPathsAreNotCleaned(t *testing.T) {
	for path, id := range map[string]string{
		"/predictions/..":      "..",
		"/predictions/.":       ".",
		"/predictions/%2E%2e":  "..",
		"/predictions/a%2Fb":   "a/b",
		"/predictions/a%2F..":  "a/..",
		"/predictions/.hidden": ".hidden",
	} {
		a := newAPI(t, nil)
		a.model.running = prediction.New(prediction.Request{ID: id, Method: prediction.Predict}, prediction.Limits{})
		if w := a.ask("GET", path, ""); w.Code != http.StatusOK || object(t, w.Body.Bytes())["id"] != id {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}
