package httpapi

import (
	"encoding/json"
	"net/http"

	"github.com/coggo/coggo/internal/prediction"
)

const pageSize = 100

type page struct {
	Results []json.RawMessage `json:"results"`
	Next    *string           `json:"next"` // cursor of the next page
}

// list shows live and retained predictions, newest first. It leaves out large inputs and outputs,
// and shows only the ends of long logs.
func (a *API) list(only prediction.Method) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		predictions, next, err := a.Supervisor.List(a.named(r), only, r.URL.Query().Get("cursor"), pageSize)
		if err != nil {
			return err
		}
		body := page{Results: make([]json.RawMessage, 0, len(predictions))}
		for _, p := range predictions {
			body.Results = append(body.Results, p.Snapshot().Short().AppendJSON(nil))
		}
		if next != "" {
			body.Next = &next
		}
		writeJSON(w, http.StatusOK, body)
		return nil
	}
}
