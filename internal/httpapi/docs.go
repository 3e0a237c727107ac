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
var pageScripts = []string{
	"dom.js", "words.js", "files.js", "fields.js", "form.js", "examples.js", "output.js", "code.js", "logs.js", "raw.js", "recent.js",
	"kept.js", "run.js", "page.js",
}

// ownCode lets a document run its own script and style and nothing else; %s are their hashes.
const ownCode = "default-src 'none'; base-uri 'none'; form-action 'none'; script-src '%s'; style-src '%s'; "

// pagePolicy keeps the page from asking another host for anything: what a model returns may name
// any.
const pagePolicy = ownCode + "connect-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:; frame-src 'self'; frame-ancestors 'none'"

// mediaPolicy is that of the frame in which the page shows a medium of another host once it was
// told to. Nothing else may be asked from in there, and the frame is nobody's origin.
const mediaPolicy = ownCode + "img-src http: https:; media-src http: https:; frame-ancestors 'self'; sandbox allow-scripts"

// document is a page in one file, so that it can be shown to somebody who has yet to sign in.
type document struct {
	body   []byte
	policy string
}

// newDocument puts a page together.
func newDocument(file, model, style, script, policy string) document {
	body := strings.NewReplacer("{{model}}", html.EscapeString(model), "{{style}}", style, "{{script}}", script).Replace(pageFile(file))
	return document{body: []byte(body), policy: fmt.Sprintf(policy, sourceHash(script), sourceHash(style))}
}

// newDocsPage is the document at /docs for a model of the name.
func newDocsPage(model string) document {
	var scripts strings.Builder
	for _, name := range pageScripts {
		scripts.WriteString(pageFile(name))
	}
	return newDocument("page.html", model, pageFile("page.css"), scripts.String(), pagePolicy)
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

// media serves the frame for a medium of another host.
func (a *API) media(w http.ResponseWriter, r *http.Request) error {
	newDocument("media.html", "", pageFile("media.css"), pageFile("media.js"), mediaPolicy).write(w, http.StatusOK)
	return nil
}

// makePage puts the page together when somebody asks for it the first time. Who has yet to sign in
// is not told the model's name.
func (a *API) makePage() document {
	if a.AuthToken != "" {
		return newDocsPage("Coggo")
	}
	return newDocsPage(path.Base(a.Model))
}

func (p document) write(w http.ResponseWriter, status int) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(p.body)))
	h.Set("Content-Security-Policy", p.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-DNS-Prefetch-Control", "off") // a link would be looked up before anybody follows it
	w.WriteHeader(status)
	_, _ = w.Write(p.body) // the client may have gone
}
