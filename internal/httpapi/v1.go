package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/schema"
	"github.com/coggo/coggo/internal/supervisor"
)

// The paths under /v1 are the HTTP API of Replicate (https://replicate.com/docs/reference/http), as
// far as its published clients need it: the same client code runs against this server and in
// production. This server has one model, so any owner, name and version mean it.

// cancelPatience is how long the answer to a cancel waits for the end, so that most clients see the
// end at once.
const cancelPatience = time.Second

// schemaVersion is the version of Cog that our schemas follow. Clients read it: before 0.3.9 every
// list was an iterator.
const schemaVersion = "0.16.12"

// version returns the id of the model's version: a hash of its interface, as long as Replicate's
// ids.
func version(doc *schema.Document) string {
	sum := sha256.Sum256(doc.JSON())
	return hex.EncodeToString(sum[:])
}

// createV1 answers POST /v1/predictions and its variants: at once, unless the client prefers to
// wait.
func (a *API) createV1(w http.ResponseWriter, r *http.Request) error {
	req, err := a.readRequest(w, r)
	if err != nil {
		return err
	}
	req.ID = prediction.NewID()            // Replicate chooses ids itself
	req.Detached, req.Patient = true, true // Replicate does not refuse for lack of a slot
	if req.More, err = a.moreV1(r, req.ID); err != nil {
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
	return a.writeV1(w, r, http.StatusCreated, s)
}

func (a *API) getV1(w http.ResponseWriter, r *http.Request) error {
	p, err := a.Supervisor.Get(r.PathValue("id"))
	if err != nil {
		return err
	}
	return a.writeV1(w, r, http.StatusOK, p.Snapshot())
}

// cancelV1 answers with the prediction, even if it has already finished.
func (a *API) cancelV1(w http.ResponseWriter, r *http.Request) error {
	p, err := a.Supervisor.Get(r.PathValue("id"))
	if err != nil {
		return err
	}
	_ = a.Supervisor.Cancel(p, supervisor.ByClient) // NotFound: it has finished
	a.waitDone(r, p, cancelPatience)
	return a.writeV1(w, r, http.StatusOK, p.Snapshot())
}

func (a *API) listV1(w http.ResponseWriter, r *http.Request) error {
	predictions, next, err := a.Supervisor.List("", r.URL.Query().Get("cursor"), pageSize)
	if err != nil {
		return err
	}
	results := make([]json.RawMessage, 0, len(predictions))
	for _, p := range predictions {
		s, err := a.viewV1(r, p.Snapshot().Short())
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
	w http.ResponseWriter, r *http.Request, status int, s prediction.Snapshot,
) error {
	s, err := a.viewV1(r, s)
	if err == nil {
		writeSnapshot(w, status, s)
	}
	return err
}

// viewV1 returns the prediction as Replicate shows it, even if it was not created under /v1.
func (a *API) viewV1(r *http.Request, s prediction.Snapshot) (_ prediction.Snapshot, err error) {
	if s.More == nil {
		s.More, err = a.moreV1(r, s.ID)
	}
	return s, err
}

// moreV1 returns the members that only Replicate's object has. A prediction that was created under
// /v1 has them everywhere, also in its webhooks.
func (a *API) moreV1(r *http.Request, id string) (json.RawMessage, error) {
	doc, err := a.Supervisor.Schema()
	if err != nil {
		return nil, err
	}
	model := a.Model
	if owner, name := r.PathValue("owner"), r.PathValue("name"); name != "" {
		model = owner + "/" + name
	}
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
		model, version(doc), "api", false,
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
	v, err := a.theVersion()
	if err != nil {
		return err
	}
	owner, name := r.PathValue("owner"), r.PathValue("name")
	writeJSON(w, http.StatusOK, modelV1{
		URL:   a.address(r, "/v1/models/"+url.PathEscape(owner)+"/"+url.PathEscape(name)),
		Owner: owner, Name: name, Visibility: "private", LatestVersion: &v,
	})
	return nil
}

func (a *API) versionV1(w http.ResponseWriter, r *http.Request) error {
	v, err := a.theVersion()
	if err != nil {
		return err
	}
	if id := r.PathValue("version"); id != "" {
		v.ID = id // any id means the one model
	}
	writeJSON(w, http.StatusOK, v)
	return nil
}

func (a *API) versionsV1(w http.ResponseWriter, r *http.Request) error {
	v, err := a.theVersion()
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK,
		map[string]any{"previous": nil, "next": nil, "results": []versionV1{v}})
	return nil
}

func (a *API) theVersion() (versionV1, error) {
	doc, err := a.Supervisor.Schema()
	if err != nil {
		return versionV1{}, err
	}
	return versionV1{
		ID: version(doc), CreatedAt: prediction.Time(a.Started),
		CogVersion: schemaVersion, Schema: doc.JSON(),
	}, nil
}
