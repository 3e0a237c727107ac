package httpapi

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed page
var pageFiles embed.FS

// pageScripts are the parts of the page's script, in the order in which they use each other.
var pageScripts = []string{"dom.js", "fields.js", "output.js", "code.js", "run.js", "page.js"}

// pagePolicy lets the page run its own script and style and nothing else; %s are their hashes. Pictures and media may come
// from wherever the model's outputs were uploaded.
const pagePolicy = "default-src 'none'; script-src '%s'; style-src '%s'; connect-src 'self'; img-src 'self' data: blob: http: https:; " +
	"media-src 'self' data: blob: http: https:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// docsPage is the document at /docs: one file, so that it can be shown to somebody who has yet to sign in.
type docsPage struct {
	body   []byte
	policy string
}

// newDocsPage puts the page together for a model of the name.
func newDocsPage(model string) docsPage {
	var scripts strings.Builder
	for _, name := range pageScripts {
		scripts.WriteString(pageFile(name))
	}
	script, style := scripts.String(), pageFile("page.css")
	body := strings.NewReplacer("{{model}}", html.EscapeString(model), "{{style}}", style, "{{script}}", script).Replace(pageFile("page.html"))
	return docsPage{body: []byte(body), policy: fmt.Sprintf(pagePolicy, sourceHash(script), sourceHash(style))}
}

func pageFile(name string) string {
	data, err := pageFiles.ReadFile(path.Join("page", name))
	if err != nil {
		panic(err) // it was embedded at build time
	}
	return string(data)
}

// sourceHash is how a Content-Security-Policy names an inline script or style.
func sourceHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// docs serves the page; it loads nothing from elsewhere.
func (a *API) docs(w http.ResponseWriter, r *http.Request) error {
	a.page().write(w, http.StatusOK)
	return nil
}

// makePage puts the page together when somebody asks for it the first time. Who has yet to sign in is not told the
// model's name.
func (a *API) makePage() docsPage {
	if a.AuthToken != "" {
		return newDocsPage("Coggo")
	}
	return newDocsPage(path.Base(a.Model))
}

func (p docsPage) write(w http.ResponseWriter, status int) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(p.body)))
	h.Set("Content-Security-Policy", p.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	_, _ = w.Write(p.body) // the client may have gone
}
