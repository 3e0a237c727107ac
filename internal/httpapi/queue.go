package httpapi

import (
	"cmp"
	"math"
	"net/http"

	"github.com/coggo/coggo/internal/prediction"
)

// queueStateBody is the queue of one model, for those who scale its workers.
type queueStateBody struct {
	Model   string   `json:"model"`
	Waiting int      `json:"waiting"`
	Running int      `json:"running"`
	Backlog int      `json:"backlog"` // both together
	Workers int      `json:"workers"`
	Slots   int      `json:"slots"`
	Oldest  *float64 `json:"oldest_seconds"` // null if this server may not see it
}

// queueState answers how long the queue of a model is. Its numbers are those of /metrics, so it
// needs no token either.
func (a *API) queueState(w http.ResponseWriter, r *http.Request) error {
	if a.Queue == nil {
		return prediction.Refuse(prediction.NotFound, "this server shares no queue with others, see --queue")
	}
	s, err := a.Queue(r.Context(), cmp.Or(r.URL.Query().Get("name"), chosen(r).name))
	if err != nil {
		return err
	}
	body := queueStateBody{
		Model: s.Model, Waiting: s.Waiting, Running: s.Running, Backlog: s.Waiting + s.Running,
		Workers: s.Workers, Slots: s.Slots,
	}
	if s.Oldest >= 0 {
		seconds := math.Round(s.Oldest.Seconds()*1000) / 1000
		body.Oldest = &seconds
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}
