package httpapi_test

import (
	"strings"
	"testing"

	"github.com/coggo/coggo/internal/httpapi"
)

func TestPagesOfOtherSitesMayDoWhatTheAllowedOriginsPermit(t *testing.T) {
	const page, other = "Origin: https://page.example", "Origin: https://other.example"
	for name, test := range map[string]struct {
		origins []string
		method  string
		headers []string
		status  int
		allowed string // Access-Control-Allow-Origin
	}{
		"nobody is allowed, no page":       {nil, "POST", nil, 200, ""},
		"nobody is allowed, a page":        {nil, "POST", []string{page}, 403, ""},
		"nobody is allowed, a page reads":  {nil, "GET", []string{page}, 200, ""},
		"nobody is allowed, same site":     {nil, "POST", []string{"Origin: http://localhost:5000", "Host: localhost:5000"}, 200, ""},
		"nobody is allowed, a preflight":   {nil, "OPTIONS", []string{page, "Access-Control-Request-Method: POST"}, 405, ""},
		"one is allowed, that page":        {[]string{"https://page.example"}, "POST", []string{page}, 200, "https://page.example"},
		"one is allowed, that page reads":  {[]string{"https://page.example"}, "GET", []string{page}, 200, "https://page.example"},
		"one is allowed, another page":     {[]string{"https://page.example"}, "POST", []string{other}, 403, ""},
		"one is allowed, no page":          {[]string{"https://page.example"}, "POST", nil, 200, ""},
		"one is allowed, its preflight":    {[]string{"https://page.example"}, "OPTIONS", []string{page, "Access-Control-Request-Method: PUT"}, 204, "https://page.example"},
		"one is allowed, other preflight":  {[]string{"https://page.example"}, "OPTIONS", []string{other, "Access-Control-Request-Method: PUT"}, 405, ""},
		"one is allowed, no preflight":     {[]string{"https://page.example"}, "OPTIONS", []string{page}, 405, "https://page.example"},
		"two are allowed":                  {[]string{"https://a.example", "https://other.example"}, "POST", []string{other}, 200, "https://other.example"},
		"everybody is allowed":             {[]string{"*"}, "POST", []string{other}, 200, "https://other.example"},
		"everybody is allowed, no page":    {[]string{"*"}, "POST", nil, 200, ""},
		"one is allowed, fetched unsafely": {[]string{"https://page.example"}, "POST", []string{"Sec-Fetch-Site: cross-site"}, 403, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t, func(c *httpapi.Config) { c.CORSOrigins = test.origins })
			w := a.ask(test.method, "/predictions", "", append([]string{"Host: localhost"}, test.headers...)...)
			h := w.Header()
			if w.Code != test.status || h.Get("Access-Control-Allow-Origin") != test.allowed {
				t.Errorf("got %d, %v, %s", w.Code, h, w.Body)
			}
			if varies := h.Get("Vary") == "Origin"; varies != (test.origins != nil) {
				t.Errorf("Vary is %q", h.Get("Vary"))
			}
			if preflight := test.status == 204; preflight && (!strings.Contains(h.Get("Access-Control-Allow-Methods"), "PUT") ||
				!strings.Contains(h.Get("Access-Control-Allow-Headers"), "Cancel-After")) {
				t.Errorf("the preflight allows %v", h)
			}
			if test.status >= 400 && len(a.model.created) > 0 {
				t.Error("a prediction was created")
			}
		})
	}
}

// A page may not learn by a preflight whether its token is right, but it may send one.
func TestAPreflightNeedsNoToken(t *testing.T) {
	a := newAPI(t, func(c *httpapi.Config) { c.CORSOrigins, c.AuthToken = []string{"*"}, "secret" })
	if w := a.ask("OPTIONS", "/predictions", "", "Origin: https://page.example", "Access-Control-Request-Method: POST"); w.Code != 204 {
		t.Errorf("got %d", w.Code)
	}
	w := a.ask("POST", "/predictions", "", "Origin: https://page.example")
	if w.Code != 401 || w.Header().Get("Access-Control-Allow-Origin") != "https://page.example" {
		t.Errorf("the page cannot read why it was refused: %d, %v", w.Code, w.Header())
	}
}
