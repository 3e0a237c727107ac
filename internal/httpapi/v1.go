package httpapi

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/schema"
	"github.com/coggo/coggo/internal/supervisor"
)

// The paths under /v1 are the HTTP API of Replicate (https://replicate.com/docs/reference/http), as
// far as its published clients need it: the same client code runs against this server and in
// production. A server with one model takes any owner, name and version for it.

// cancelPatience is how long the answer to a cancel waits for the end, so that most clients see the
// end at once.
const cancelPatience = time.Second

// schemaVersion is the version of Cog that our schemas follow. Clients read it: before 0.3.9 every
// list was an iterator.
const schemaVersion = "0.16.12"

// createV1 answers POST /v1/predictions and its variants: at once, unless the client prefers to
// wait.
func (a *API) createV1(w http.ResponseWriter, r *http.Request) error {
	req, err := a.readRequest(w, r)
	if err != nil {
		return err
	}
	m, err := a.modelV1Of(r, req)
	if err != nil {
		return err
	}
	req.Model = m.Name
	req.ID = prediction.NewID()            // Replicate chooses ids itself
	req.Detached, req.Patient = true, true // Replicate does not refuse for lack of a slot
	if req.Extra, err = a.extraV1(r, req.ID, m); err != nil {
		return err
	}
	limit := preferred(r.Header).wait
	req.Followed = limit > 0
	p, _, err := a.Supervisor.Create(req, false)
	if err != nil {
		return err
	}
	a.concerns(r, req.ID)
	// Clients take any status but "starting" for the end, and any output in the answer for read.
	s := p.Accepted()
	if limit > 0 && a.waitDone(r, p, limit) {
		s = p.Snapshot()
	}
	return a.writeV1(w, r, http.StatusCreated, p, s)
}

func (a *API) getV1(w http.ResponseWriter, r *http.Request) error {
	p, err := a.Supervisor.Get(r.PathValue("id"))
	if err != nil {
		return err
	}
	return a.writeV1(w, r, http.StatusOK, p, p.Snapshot())
}

// cancelV1 answers with the prediction, even if it has already finished.
func (a *API) cancelV1(w http.ResponseWriter, r *http.Request) error {
	p, err := a.Supervisor.Get(r.PathValue("id"))
	if err != nil {
		return err
	}
	_ = a.Supervisor.Cancel(p, supervisor.ByClient) // NotFound: it has finished
	a.waitDone(r, p, cancelPatience)
	return a.writeV1(w, r, http.StatusOK, p, p.Snapshot())
}

func (a *API) listV1(w http.ResponseWriter, r *http.Request) error {
	predictions, next, err := a.Supervisor.List(chosen(r).name, "", r.URL.Query().Get("cursor"), pageSize)
	if err != nil {
		return err
	}
	results := make([]json.RawMessage, 0, len(predictions))
	for _, p := range predictions {
		s, err := a.viewV1(r, p, p.Snapshot().Short())
		if err != nil {
			return err
		}
		results = append(results, s.AppendJSON(nil))
	}
	page := struct {
		Previous *string           `json:"previous"`
		Next     *string           `json:"next"`
		Results  []json.RawMessage `json:"results"`
	}{Results: results}
	if next != "" {
		link := a.address(r, "/v1/predictions?cursor="+url.QueryEscape(next))
		page.Next = &link
	}
	writeJSON(w, http.StatusOK, page)
	return nil
}

func (a *API) writeV1(
	w http.ResponseWriter, r *http.Request, status int,
	p *prediction.Prediction, s prediction.Snapshot,
) error {
	s, err := a.viewV1(r, p, s)
	if err == nil {
		writeSnapshot(w, status, s)
	}
	return err
}

// viewV1 returns a snapshot of a prediction as Replicate shows it, even if it was not created under
// /v1.
func (a *API) viewV1(
	r *http.Request, p *prediction.Prediction, s prediction.Snapshot,
) (prediction.Snapshot, error) {
	if s.Extra != nil {
		return s, nil
	}
	m, err := a.Supervisor.Model(cmp.Or(p.Request.Model, a.Model), "")
	if err != nil && p.Request.Model == "" {
		return s, err
	}
	if err != nil { // its model has gone
		m.Name = p.Request.Model
	}
	s.Extra, err = a.extraV1(r, s.ID, m)
	return s, err
}

// extraV1 returns the members that only Replicate's object has. A prediction that was created under
// /v1 has them everywhere, also in its webhooks.
func (a *API) extraV1(r *http.Request, id string, m schema.Model) (json.RawMessage, error) {
	base := a.address(r, "/v1/predictions/"+url.PathEscape(id))
	stream := base + "/stream"
	if key := a.streamKey(id); key != "" {
		stream += "?key=" + key
	}
	return json.Marshal(struct {
		Model   string            `json:"model"`
		Version string            `json:"version"`
		Source  string            `json:"source"`
		Removed bool              `json:"data_removed"`
		URLs    map[string]string `json:"urls"`
	}{
		m.Base(), m.Version(), "api", false,
		map[string]string{
			"get": base, "cancel": base + "/cancel", "stream": stream, "web": a.address(r, "/docs"),
		},
	})
}

type modelV1 struct {
	URL            string     `json:"url"`
	Owner          string     `json:"owner"`
	Name           string     `json:"name"`
	Description    *string    `json:"description"`
	Visibility     string     `json:"visibility"`
	GithubURL      *string    `json:"github_url"`
	PaperURL       *string    `json:"paper_url"`
	LicenseURL     *string    `json:"license_url"`
	RunCount       int        `json:"run_count"`
	CoverImageURL  *string    `json:"cover_image_url"`
	DefaultExample *string    `json:"default_example"`
	LatestVersion  *versionV1 `json:"latest_version"`
}

type versionV1 struct {
	ID         string          `json:"id"`
	CreatedAt  string          `json:"created_at"`
	CogVersion string          `json:"cog_version"`
	Schema     json.RawMessage `json:"openapi_schema"`
}

func (a *API) modelV1(w http.ResponseWriter, r *http.Request) error {
	m, err := a.modelV1Of(r, prediction.Request{})
	if err == nil {
		writeJSON(w, http.StatusOK, a.describeV1(r, m))
	}
	return err
}

// modelsV1 lists the models, each with the version that a request without one means.
func (a *API) modelsV1(w http.ResponseWriter, r *http.Request) error {
	results := []modelV1{}
	for _, m := range a.Supervisor.Models() {
		if n := len(results); n > 0 && results[n-1].Owner+"/"+results[n-1].Name == m.Base() {
			continue
		}
		latest, err := a.Supervisor.Model(m.Base(), "")
		if err != nil {
			continue // it has just gone
		}
		results = append(results, a.describeV1(r, latest))
	}
	writePageV1(w, results)
	return nil
}

// describeV1 is a model as Replicate shows it.
func (a *API) describeV1(r *http.Request, m schema.Model) modelV1 {
	owner, name, _ := strings.Cut(m.Base(), "/")
	v := describeVersionV1(m)
	return modelV1{
		URL:   a.address(r, "/v1"+modelPath(owner, name)),
		Owner: owner, Name: name, Visibility: "private", LatestVersion: &v,
	}
}

func (a *API) versionV1(w http.ResponseWriter, r *http.Request) error {
	m, err := a.modelV1Of(r, prediction.Request{})
	if err != nil {
		return err
	}
	v := describeVersionV1(m)
	if !a.Shared {
		v.ID = r.PathValue("version") // any id means the one model
	}
	writeJSON(w, http.StatusOK, v)
	return nil
}

// versionsV1 lists the versions of a model, newest first.
func (a *API) versionsV1(w http.ResponseWriter, r *http.Request) error {
	m, err := a.modelV1Of(r, prediction.Request{})
	if err != nil {
		return err
	}
	all := []schema.Model{m}
	if a.Shared {
		all = slices.DeleteFunc(a.Supervisor.Models(), func(other schema.Model) bool {
			return other.Base() != m.Base()
		})
		slices.SortStableFunc(all, func(a, b schema.Model) int { return b.Since.Compare(a.Since) })
	}
	results := []versionV1{}
	for _, one := range all {
		results = append(results, describeVersionV1(one))
	}
	writePageV1(w, results)
	return nil
}

func writePageV1[T any](w http.ResponseWriter, results []T) {
	writeJSON(w, http.StatusOK, map[string]any{"previous": nil, "next": nil, "results": results})
}

func describeVersionV1(m schema.Model) versionV1 {
	return versionV1{
		ID: m.Version(), CreatedAt: prediction.Time(m.Since),
		CogVersion: schemaVersion, Schema: m.JSON(),
	}
}
