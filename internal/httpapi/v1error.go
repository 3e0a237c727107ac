package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
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
		var refused *prediction.Error
		var plain *httpError
		switch {
		case errors.As(err, &refused):
			if refused.RetryAfter > 0 {
				w.Header().Set("Retry-After", strconv.Itoa(int(refused.RetryAfter.Seconds())))
			}
			writeProblem(w, statusOf[refused.Code], refused)
		case errors.As(err, &plain):
			writeProblem(w, plain.status, &prediction.Error{Message: plain.message})
		default:
			return err
		}
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
