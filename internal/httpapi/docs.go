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

// pageScripts are the parts of the page's script. A part uses only parts before it.
var pageScripts = []string{
	"dom.js", "models.js", "words.js", "files.js", "fields.js", "form.js", "examples.js", "output.js",
	"code.js", "logs.js", "raw.js", "recent.js", "kept.js", "run.js", "page.js",
}

// ownCode allows a document its own script and style, and nothing else. The two %s are their
// hashes.
const ownCode = "default-src 'none'; base-uri 'none'; form-action 'none'; " +
	"script-src '%s'; style-src '%s'; "

// pagePolicy forbids the page to ask another host for anything, because the output of a model may
// name any host.
const pagePolicy = ownCode + "connect-src 'self'; img-src 'self' data: blob:; " +
	"media-src 'self' data: blob:; frame-src 'self'; frame-ancestors 'none'"

// mediaPolicy is the policy of the frame in which the page shows a medium of another host, after
// the user has asked for it. The frame may load nothing else, and it has an opaque origin.
const mediaPolicy = ownCode + "img-src http: https:; media-src http: https:; " +
	"frame-ancestors 'self'; sandbox allow-scripts"

// document is a page in one file, so that a client can see it before it signs in.
type document struct {
	body   []byte
	policy string
}

// newDocument assembles a page.
func newDocument(file, model, style, script, policy string) document {
	body := strings.NewReplacer(
		"{{model}}", html.EscapeString(model), "{{style}}", style, "{{script}}", script,
	).Replace(pageFile(file))
	policy = fmt.Sprintf(policy, sourceHash(script), sourceHash(style))
	return document{body: []byte(body), policy: policy}
}

// newDocsPage assembles the document at /docs for a model of this name.
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
		panic(err) // it is embedded
	}
	return string(data)
}

// sourceHash returns the name of an inline script or style in a Content-Security-Policy.
func sourceHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// docs serves the page. The page loads nothing from elsewhere.
func (a *API) docs(w http.ResponseWriter, r *http.Request) error {
	a.page().write(w, http.StatusOK)
	return nil
}

// media serves the frame for a medium of another host.
func (a *API) media(w http.ResponseWriter, r *http.Request) error {
	newDocument("media.html", "", pageFile("media.css"), pageFile("media.js"), mediaPolicy).
		write(w, http.StatusOK)
	return nil
}

// makePage assembles the page when a client first asks for it. A client without the token does not
// learn the model's name. Where there may be several models the script adds it.
func (a *API) makePage() document {
	if a.AuthToken != "" || a.Shared {
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
	h.Set("X-DNS-Prefetch-Control", "off") // else a browser looks up the hosts of links
	w.WriteHeader(status)
	_, _ = w.Write(p.body) // the client may have gone
}
