package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/schema"
	"github.com/coggo/coggo/internal/supervisor"
)

// OneModel is the supervisor of one model as a Supervisor: every name and version mean this model.
type OneModel struct {
	One
	Name  string    // owner/name, perhaps with :version
	Since time.Time // when the server started
}

// One is what OneModel needs of a supervisor.
type One interface {
	predictions
	List(only prediction.Method, cursor string, limit int) (
		page []*prediction.Prediction, next string, err error,
	)
	Schema() (*schema.Document, error)
	Health(ctx context.Context) supervisor.Health
}

// Model returns the model under the name that the client uses.
func (o OneModel) Model(name, _ string) (schema.Model, error) {
	doc, err := o.Schema()
	if err != nil {
		return schema.Model{}, err
	}
	m := schema.Model{Name: o.Name, Since: o.Since, Document: doc}
	if base, _ := schema.SplitName(name); base != "" && base != m.Base() {
		m.ID, m.Name = m.Version(), base
	}
	return m, nil
}

// Models returns the model.
func (o OneModel) Models() []schema.Model {
	m, err := o.Model("", "")
	if err != nil {
		return nil
	}
	return []schema.Model{m}
}

// List lists its predictions.
func (o OneModel) List(_ string, only prediction.Method, cursor string, limit int) (
	[]*prediction.Prediction, string, error,
) {
	return o.One.List(only, cursor, limit)
}

// Health is that of the model.
func (o OneModel) Health(ctx context.Context, _ string) supervisor.Health {
	return o.One.Health(ctx)
}

// belowModels begins the paths of one of several models: /models/OWNER/NAME[:VERSION].
const belowModels = "/models/"

type chosenKey struct{}

// choice is the model that the path of a request names, and the part of the path that names it.
type choice struct{ name, path string }

// chosen returns the choice of a request. It is empty if the path does not name a model.
func chosen(r *http.Request) choice {
	c, _ := r.Context().Value(chosenKey{}).(choice)
	return c
}

// named returns the name of the model that r means; it may be empty.
func (a *API) named(r *http.Request) string {
	if c := chosen(r); c.name != "" {
		return c.name
	}
	return a.Model
}

// model returns the model that r means.
func (a *API) model(r *http.Request) (schema.Model, error) {
	return a.Supervisor.Model(a.named(r), "")
}

// ofModel serves the whole API again below the path of each model, except for the shutdown.
func (a *API) ofModel(next http.Handler) http.Handler {
	if !a.Shared {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, rest, ok := cutModel(r.URL.EscapedPath()); ok && rest != "/shutdown" {
			r = at(r.WithContext(context.WithValue(r.Context(), chosenKey{}, c)), rest)
		}
		next.ServeHTTP(w, r)
	})
}

// cutModel splits an escaped path after the model that it names.
func cutModel(path string) (c choice, rest string, ok bool) {
	below, ok := strings.CutPrefix(path, belowModels)
	if !ok {
		return c, "", false
	}
	parts := strings.SplitN(below, "/", 3)
	if len(parts) < 2 {
		return c, "", false
	}
	owner, badOwner := url.PathUnescape(parts[0])
	name, badName := url.PathUnescape(parts[1])
	if badOwner != nil || badName != nil || owner == "" || name == "" {
		return c, "", false
	}
	rest = "/"
	if len(parts) == 3 {
		rest += parts[2]
	}
	return choice{owner + "/" + name, modelPath(owner, name)}, rest, true
}

// modelPath is the path below which the API of one of several models is.
func modelPath(owner, name string) string {
	return belowModels + url.PathEscape(owner) + "/" + url.PathEscape(name)
}

// at returns r with another escaped path.
func at(r *http.Request, path string) *http.Request {
	copied, address := *r, *r.URL
	address.RawPath = path
	address.Path, _ = url.PathUnescape(path) // it was parsed before
	copied.URL = &address
	return &copied
}

// listedModel is a model in the answer to GET /models. There is one for each version.
type listedModel struct {
	Name    string `json:"name"` // OWNER/NAME[:VERSION]
	Model   string `json:"model"`
	Version string `json:"version"`
	URL     string `json:"url"` // the API of the model begins here
}

// models lists what can be asked of a queue, and says what the path of the request has chosen.
func (a *API) models(w http.ResponseWriter, r *http.Request) error {
	list := []listedModel{}
	for _, m := range a.Supervisor.Models() {
		owner, name, _ := strings.Cut(m.Name, "/")
		address := origin(r) + a.outerPrefix(r) + modelPath(owner, name)
		list = append(list, listedModel{m.Name, m.Base(), m.Version(), address})
	}
	writeJSON(w, http.StatusOK, map[string]any{"chosen": chosen(r).name, "results": list})
	return nil
}

// modelV1Of returns the model that a request of Replicate's API means: by the path, or by `version`
// in its body.
func (a *API) modelV1Of(r *http.Request, req prediction.Request) (schema.Model, error) {
	name := chosen(r).name
	if owner := r.PathValue("owner"); owner != "" {
		name = owner + "/" + r.PathValue("name")
	}
	version := r.PathValue("version")
	if a.Shared && version == "" {
		var err error
		if version, err = req.AskedVersion(); err != nil {
			return schema.Model{}, err
		}
	}
	if name == "" && version == "" {
		name = a.Model
	}
	return a.Supervisor.Model(name, version)
}
