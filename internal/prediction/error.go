package prediction

import "time"

// Code is the kind of an Error. One place derives the HTTP status from it: httpapi/error.go.
type Code string

// The codes.
const (
	Malformed     Code = "malformed"      // not JSON
	Invalid       Code = "invalid"        // JSON, but not a valid request; Problems says where
	TooLarge      Code = "too_large"      // larger than a limit of the server
	NotFound      Code = "not_found"      // no such prediction
	NotAcceptable Code = "not_acceptable" // a stream was asked for where the server does not stream
	Conflict      Code = "conflict"       // the id is in use
	Busy          Code = "busy"           // every slot is taken
	QueueFull     Code = "queue_full"     // every slot and every place in the queue is taken
	NotReady      Code = "not_ready"      // no runner process can run it now
	Draining      Code = "draining"       // the server is shutting down
)

// Error is the refusal of a request. Its text is for the client.
type Error struct {
	Code       Code
	Message    string
	Problems   []Problem     // for Invalid only
	RetryAfter time.Duration // when the same request may be accepted; 0 if waiting does not help
}

func (e *Error) Error() string { return e.Message }

// Problem is one mistake in a request. Its JSON form is an element of FastAPI's `detail` list.
type Problem struct {
	Loc  []any  `json:"loc"`
	Msg  string `json:"msg"`
	Type string `json:"type"`
}

// Refuse returns an *Error with code and message.
func Refuse(c Code, message string) *Error { return &Error{Code: c, Message: message} }

// RefuseFor is Refuse for a request that the server may accept after a while.
func RefuseFor(after time.Duration, c Code, message string) *Error {
	return &Error{Code: c, Message: message, RetryAfter: after}
}

// InvalidRequest returns an *Error with code Invalid that lists problems.
func InvalidRequest(problems ...Problem) *Error {
	return &Error{Code: Invalid, Message: "invalid request", Problems: problems}
}
