package prediction

import "time"

// Code says what kind of refusal an Error is. HTTP status codes are derived from it in one place.
type Code string

// The codes.
const (
	Malformed     Code = "malformed"      // not JSON
	Invalid       Code = "invalid"        // JSON, but not a valid request; Problems says where
	TooLarge      Code = "too_large"      // a limit of the server
	NotFound      Code = "not_found"      // no such prediction
	NotAcceptable Code = "not_acceptable" // a stream of something that is not streamed
	Conflict      Code = "conflict"       // the id is in use
	Busy          Code = "busy"           // every slot is taken
	QueueFull     Code = "queue_full"     // every slot and every place in the queue is taken
	NotReady      Code = "not_ready"      // no model that could run it, now
	Draining      Code = "draining"       // the server is shutting down
)

// Error is a request that was refused, with a text for the client.
type Error struct {
	Code       Code
	Message    string
	Problems   []Problem     // for Invalid
	RetryAfter time.Duration // when the same request may be accepted; 0: not by waiting
}

func (e *Error) Error() string { return e.Message }

// Problem is one thing that is wrong with a request. Its JSON form is the element of FastAPI's
// `detail` list.
type Problem struct {
	Loc  []any  `json:"loc"`
	Msg  string `json:"msg"`
	Type string `json:"type"`
}

// Refuse returns an *Error with code and message.
func Refuse(c Code, message string) *Error { return &Error{Code: c, Message: message} }

// RefuseFor is Refuse for a request that may be accepted after a while.
func RefuseFor(after time.Duration, c Code, message string) *Error {
	return &Error{Code: c, Message: message, RetryAfter: after}
}

// InvalidRequest returns an *Error with code Invalid for problems.
func InvalidRequest(problems ...Problem) *Error {
	return &Error{Code: Invalid, Message: "invalid request", Problems: problems}
}
