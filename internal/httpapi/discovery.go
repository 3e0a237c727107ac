package httpapi

import (
	"bytes"
	"net/http"
	"path"
	"slices"

	"github.com/coggo/coggo/internal/prediction"
)

// discovery lists the paths of the server.
func (a *API) discovery(w http.ResponseWriter, r *http.Request) error {
	links := map[string]string{
		"docs_url":                   "/docs",
		"openapi_url":                "/openapi.json",
		"shutdown_url":               "/shutdown",
		"healthcheck_url":            "/health-check",
		"predictions_url":            "/predictions",
		"predictions_idempotent_url": "/predictions/{prediction_id}",
		"predictions_cancel_url":     "/predictions/{prediction_id}/cancel",
	}
	m, err := a.model(r)
	if err != nil && chosen(r).name != "" {
		return err
	}
	if err == nil && m.Train() != nil {
		links["trainings_url"] = "/trainings"
		links["trainings_idempotent_url"] = "/trainings/{training_id}"
		links["trainings_cancel_url"] = "/trainings/{training_id}/cancel"
	}
	for name, path := range links {
		links[name] = a.path(r, path)
	}
	links["coggo_version"], links["cog_version"] = a.Version, a.Version
	writeJSON(w, http.StatusOK, links)
	return nil
}

func (a *API) openapi(w http.ResponseWriter, r *http.Request) error {
	m, err := a.model(r)
	if err != nil {
		return err
	}
	data := m.JSON()
	// At the end, so that the rest is as in Cog.
	name := prediction.AppendString(nil, a.shownName(m.Name))
	data = bytes.TrimSuffix(bytes.TrimSpace(data), []byte("}"))
	data = slices.Concat(data, []byte(`,"x-coggo-model":`), name, []byte("}"))
	if prefix := a.prefix(r); prefix != "" { // without it, the paths would begin at the origin
		servers := []byte(`{"servers":[{"url":"` + prefix + `"}],`)
		data = slices.Concat(servers, bytes.TrimPrefix(data, []byte("{")))
	}
	writeRaw(w, http.StatusOK, data)
	return nil
}

// shownName is the name of a model for people: of one of several, the whole.
func (a *API) shownName(name string) string {
	if a.Shared {
		return name
	}
	return path.Base(name)
}

// shutdown answers before the server stops listening.
func (a *API) shutdown(w http.ResponseWriter, r *http.Request) error {
	writeRaw(w, http.StatusOK, []byte("{}"))
	a.Shutdown()
	return nil
}
