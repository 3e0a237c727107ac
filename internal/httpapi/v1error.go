package httpapi

import (
	"net/http"
	"strings"

	"github.com/coggo/coggo/internal/prediction"
)

// problemV1 is an error in the form of Replicate's API (RFC 7807). Its clients show `detail`, a
// string. `error` is the same string, as in all other refusals.
type problemV1 struct {
	Title   string    `json:"title"`
	Detail  string    `json:"detail"`
	Error   string    `json:"error"`
	Status  int       `json:"status"`
	Invalid []fieldV1 `json:"invalid_fields,omitempty"`
}

type fieldV1 struct {
	Type        string `json:"type"`
	Field       string `json:"field"`
	Description string `json:"description"`
}

// problem writes the refusals of h in Replicate's form.
func (a *API) problem(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := h(w, r)
		refused, status := refusal(err)
		if refused == nil {
			return err
		}
		a.Refusals.add(r, string(refused.Code), status)
		retryAfter(w, refused.RetryAfter)
		writeProblem(w, status, refused)
		return nil
	}
}

func writeProblem(w http.ResponseWriter, status int, e *prediction.Error) {
	body := problemV1{Title: http.StatusText(status), Detail: e.Message, Status: status}
	if e.Problems != nil {
		body.Title = "Input validation failed"
		body.Detail = "- " + strings.Join(inWords(e.Problems), "\n- ") + "\n"
	}
	for _, p := range e.Problems {
		body.Invalid = append(body.Invalid, fieldV1{p.Type, fieldOf(p.Loc), p.Msg})
	}
	body.Error = body.Detail
	writeJSON(w, status, body)
}
