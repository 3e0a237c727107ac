package httpapi

import (
	"encoding/json"
	"net/http"
	"unicode/utf8"

	"github.com/coggo/coggo/internal/prediction"
)

const (
	pageSize  = 100
	bodyLimit = 1 << 10 // bytes of an input, output or log in a list
)

type page struct {
	Results []json.RawMessage `json:"results"`
	Next    *string           `json:"next"` // cursor of the next page
}

// list shows live and retained predictions, newest first. It leaves out large inputs and outputs,
// and shows only the ends of long logs.
func (a *API) list(only prediction.Method) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		predictions, next, err := a.Supervisor.List(only, r.URL.Query().Get("cursor"), pageSize)
		if err != nil {
			return err
		}
		body := page{Results: make([]json.RawMessage, 0, len(predictions))}
		for _, p := range predictions {
			body.Results = append(body.Results, short(p.Snapshot()).AppendJSON(nil))
		}
		if next != "" {
			body.Next = &next
		}
		writeJSON(w, http.StatusOK, body)
		return nil
	}
}

// short leaves out large members.
func short(s prediction.Snapshot) prediction.Snapshot {
	if len(s.Input) > bodyLimit {
		s.Input = json.RawMessage("null")
	}
	if s.OutputLen() > bodyLimit {
		s.Output, s.Items = prediction.Value{}, nil
	}
	if cut := len(s.Logs) - bodyLimit; cut > 0 {
		for range utf8.UTFMax - 1 { // drop the rest of a character that was cut
			if utf8.RuneStart(s.Logs[cut]) {
				break
			}
			cut++
		}
		s.Logs = s.Logs[cut:]
	}
	return s
}
