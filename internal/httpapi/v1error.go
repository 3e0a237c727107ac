package httpapi

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/coggo/coggo/internal/prediction"
)

// problemV1 is an error as Replicate's API tells it (RFC 7807): its clients show `detail`, a text.
type problemV1 struct {
	Title   string    `json:"title"`
	Detail  string    `json:"detail"`
	Status  int       `json:"status"`
	Invalid []fieldV1 `json:"invalid_fields,omitempty"`
}

type fieldV1 struct {
	Type        string `json:"type"`
	Field       string `json:"field"`
	Description string `json:"description"`
}

// problem makes refusals of h look like Replicate's.
func (a *API) problem(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := h(w, r)
		refused, status := refusal(err)
		if refused == nil {
			return err
		}
		retryAfter(w, refused)
		writeProblem(w, status, refused)
		return nil
	}
}

func writeProblem(w http.ResponseWriter, status int, e *prediction.Error) {
	body := problemV1{Title: http.StatusText(status), Detail: e.Message, Status: status}
	if e.Problems != nil {
		body.Title, body.Detail = "Input validation failed", ""
	}
	for _, p := range e.Problems {
		field := fieldOf(p.Loc)
		body.Detail += fmt.Sprintf("- %s: %s\n", field, p.Msg)
		body.Invalid = append(body.Invalid, fieldV1{p.Type, field, p.Msg})
	}
	writeJSON(w, status, body)
}

// fieldOf is a place in the body as a path: input.n.
func fieldOf(loc []any) string {
	parts := make([]string, 0, len(loc))
	for i, step := range loc {
		if i > 0 || step != "body" {
			parts = append(parts, fmt.Sprint(step))
		}
	}
	return strings.Join(parts, ".")
}
