package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/coggo/coggo/internal/prediction"
)

// statusOf is the only map from codes to HTTP statuses.
var statusOf = map[prediction.Code]int{
	prediction.Malformed:     http.StatusBadRequest,
	prediction.Invalid:       http.StatusUnprocessableEntity,
	prediction.TooLarge:      http.StatusRequestEntityTooLarge,
	prediction.NotFound:      http.StatusNotFound,
	prediction.NotAcceptable: http.StatusNotAcceptable,
	prediction.Conflict:      http.StatusConflict,
	prediction.Busy:          http.StatusConflict,
	prediction.QueueFull:     http.StatusTooManyRequests,
	prediction.NotReady:      http.StatusServiceUnavailable,
	prediction.Draining:      http.StatusServiceUnavailable,
}

// httpError is a refusal for a reason that only HTTP has.
type httpError struct {
	status  int
	message string
}

func (e *httpError) Error() string { return e.message }

// errorBody is the body of every error answer. `detail` is FastAPI's member, `error` is coglet's.
// Clients of coglet read `status` after a 409 or 503.
type errorBody struct {
	Detail any    `json:"detail"`
	Error  string `json:"error"`
	Status string `json:"status,omitempty"`
}

// plainError returns the body of an error that is one message.
func plainError(message string) errorBody { return errorBody{Detail: message, Error: message} }

// writeError answers with err. The text of an internal error goes to the log, never to the client.
func (a *API) writeError(w http.ResponseWriter, r *http.Request, err error) {
	refused, status := refusal(err)
	switch {
	case refused != nil:
		a.Refusals.add(r, string(refused.Code), status)
		writeRefusal(w, status, refused)
	case r.Context().Err() != nil: // the client has left
	default:
		a.Log.Error("request", "method", shownMethod(r), "path", shownPath(r), "error", err)
		writeJSON(w, http.StatusInternalServerError, plainError("internal error"))
	}
}

// refusal returns the part of an error that the client reads, and its status. It returns nil if err
// is nil or internal. The code of an httpError is its status in words.
func refusal(err error) (refused *prediction.Error, status int) {
	var plain *httpError
	switch {
	case errors.As(err, &refused):
		return refused, statusOf[refused.Code]
	case errors.As(err, &plain):
		code := strings.ReplaceAll(strings.ToLower(http.StatusText(plain.status)), " ", "_")
		return &prediction.Error{Code: prediction.Code(code), Message: plain.message}, plain.status
	}
	return nil, 0
}

// retryAfter tells a client when to try again, in whole seconds. 0 sets no header.
func retryAfter(w http.ResponseWriter, after time.Duration) {
	if after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(after.Seconds()))))
	}
}

func writeRefusal(w http.ResponseWriter, status int, e *prediction.Error) {
	body := plainError(e.Message)
	if e.Problems != nil {
		body = errorBody{Detail: e.Problems, Error: strings.Join(inWords(e.Problems), "; ")}
	}
	switch status {
	case http.StatusConflict, http.StatusServiceUnavailable, http.StatusTooManyRequests:
		body.Status = string(prediction.Failed)
	}
	retryAfter(w, e.RetryAfter)
	writeJSON(w, status, body)
}

// inWords renders problems for people, each with its place.
func inWords(problems []prediction.Problem) []string {
	words := make([]string, len(problems))
	for i, p := range problems {
		words[i] = fieldOf(p.Loc) + ": " + p.Msg
	}
	return words
}

// fieldOf renders a place in the body as a path, such as input.n.
func fieldOf(loc []any) string {
	parts := make([]string, 0, len(loc))
	for i, step := range loc {
		if i > 0 || step != "body" {
			parts = append(parts, fmt.Sprint(step))
		}
	}
	return strings.Join(parts, ".")
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		http.Error(w,
			`{"detail":"internal error","error":"internal error"}`, http.StatusInternalServerError)
		return
	}
	writeRaw(w, status, data)
}

// writeRaw answers with one whole JSON document.
func writeRaw(w http.ResponseWriter, status int, data []byte) {
	h := w.Header()
	h["Content-Type"] = jsonType
	h.Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	_, _ = w.Write(data) // the client may have gone
}

// writeSnapshot answers with a prediction. It may read output files only now.
func writeSnapshot(w http.ResponseWriter, status int, s prediction.Snapshot) {
	if s.Worker != "" {
		w.Header().Set("Coggo-Worker", s.Worker)
	}
	if !s.Large() {
		writeRaw(w, status, s.AppendJSON(nil))
		return
	}
	h := w.Header()
	h["Content-Type"] = jsonType
	h.Set("Content-Length", strconv.Itoa(s.Len()))
	w.WriteHeader(status)
	// If it fails, the answer is shorter than its Content-Length, so clients reject it.
	_, _ = s.WriteTo(w)
}

var jsonType = []string{"application/json"}
