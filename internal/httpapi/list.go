package httpapi

import (
	"encoding/json"
	"net/http"
)

const (
	pageSize  = 100
	bodyLimit = 1 << 10 // of an input or output in a list
)

type page struct {
	Results []json.RawMessage `json:"results"`
	Next    *string           `json:"next"` // cursor of the next page
}

// list shows what is live and retained, newest first, without large inputs and outputs.
func (a *API) list(w http.ResponseWriter, r *http.Request) error {
	predictions, next := a.Supervisor.List(r.URL.Query().Get("cursor"), pageSize)
	body := page{Results: make([]json.RawMessage, 0, len(predictions))}
	for _, p := range predictions {
		s := p.Snapshot()
		if len(s.Input) > bodyLimit {
			s.Input = json.RawMessage("null")
		}
		if len(s.Output) > bodyLimit {
			s.Output = nil
		}
		body.Results = append(body.Results, s.AppendJSON(nil))
	}
	if next != "" {
		body.Next = &next
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}
