package queue

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/coggo/coggo/internal/prediction"
)

// The headers of messages. docs/protocol.md has the whole format; readers ignore headers that they
// do not know.
const (
	headerFormat  = "Coggo-Format"
	headerRun     = "Coggo-Run"     // tells the runs of one id apart
	headerAfter   = "Coggo-After"   // of a request: sequence of the state that this run replaces, 0 for none
	headerState   = "Coggo-State"   // claimed, returned or ended
	headerAttempt = "Coggo-Attempt" // counts from 1
	headerOwner   = "Coggo-Owner"   // of a claim: the process
	headerHost    = "Coggo-Host"    // of a claim: the machine, for people
	headerCancel  = "Coggo-Cancel"  // the reason why the run must end
	headerInput   = "Coggo-Input"   // tells whether two requests ask for the same run
	headerMethod  = "Coggo-Method"
	headerObject  = "Coggo-Object" // the body lies in pieces: the name, the length, and that of a piece
	headerParts   = "Coggo-Parts"  // of an end in pieces: where in it is what, as JSON
	headerHook    = "Coggo-Hook"   // of a webhook: its receiver, as JSON
)

// format is the version of the messages.
const format = "1"

// stateKind is what a state says of a run.
type stateKind string

const (
	claimed  stateKind = "claimed"  // a worker runs it
	returned stateKind = "returned" // a worker gave it back, and it waits again
	ended    stateKind = "ended"
)

// state is the one message that says how a prediction is. Its sequence in the stream is the
// fencing token of the claim.
type state struct {
	place
	seq      uint64 // 0: there is no state yet
	kind     stateKind
	run      string
	owner    string
	host     string // of the worker that runs it, or has run it; empty if none has
	attempt  int
	cancel   string // the reason of a cancel; empty if nobody has canceled it
	input    string
	method   prediction.Method
	streamed bool // of an end: the output is the list of what was yielded
	payload
}

// payload is the body of a message, in it or in pieces.
type payload struct {
	body   []byte // of an end in pieces, what lists show of it
	object object // empty if the body is the whole
	parts  parts  // of an end in pieces
}

// inPieces reports whether the body is not in the message.
func (p payload) inPieces() bool { return p.object.name != "" }

// parts says where in the object of an end is what.
type parts struct {
	Text   span `json:"text"`           // the prediction as JSON, but with files in place of their data URLs
	Input  span `json:"input"`          // in the text
	Output span `json:"output"`         // in the text
	Files  span `json:"files,omitzero"` // the table of the files, see fileIn
}

// span is the offset of something and its length.
type span [2]int64

func (s span) at() int64   { return s[0] }
func (s span) size() int64 { return s[1] }
func (s span) end() int64  { return s[0] + s[1] }

// within reports whether s is a part of other.
func (s span) within(other span) bool {
	return s.at() >= other.at() && s.size() >= 0 && s.at() <= other.end() && s.size() <= other.end()-s.at()
}

func (p payload) header(h nats.Header) {
	if !p.inPieces() {
		return
	}
	h.Set(headerObject, p.object.String())
	if p.parts != (parts{}) {
		text, _ := json.Marshal(p.parts) // it has only numbers
		h.Set(headerParts, string(text))
	}
}

func payloadOf(h nats.Header, data []byte) (p payload, err error) {
	p.body = data
	if p.object, err = parseObject(h.Get(headerObject)); err != nil {
		return p, fmt.Errorf("%s: %w", headerObject, err)
	}
	if text := h.Get(headerParts); text != "" {
		if err = json.Unmarshal([]byte(text), &p.parts); err != nil {
			return p, fmt.Errorf("%s: %w", headerParts, err)
		}
	}
	return p, nil
}

// errFormat is a message of a version that this one does not know.
var errFormat = errors.New("the message has a format that this version does not know")

// message returns s as a message, without what it expects of the stream.
func (s state) message() *nats.Msg {
	m := nats.NewMsg(s.place.state())
	m.Data = s.body
	h := m.Header
	h.Set(headerFormat, format)
	h.Set(headerState, string(s.kind))
	h.Set(headerRun, s.run)
	h.Set(headerOwner, s.owner)
	h.Set(headerAttempt, strconv.Itoa(s.attempt))
	h.Set(headerInput, s.input)
	h.Set(headerMethod, string(s.method))
	if s.host != "" {
		h.Set(headerHost, s.host)
	}
	if s.cancel != "" {
		h.Set(headerCancel, s.cancel)
	}
	if s.streamed {
		h.Set(headerStreamed, "1")
	}
	s.payload.header(h)
	return m
}

// stateOf reads a state. seq is its sequence in the stream.
func stateOf(subject string, seq uint64, h nats.Header, data []byte) (s state, err error) {
	if h.Get(headerFormat) != format {
		return s, errFormat
	}
	s = state{
		place: placeIn(subject), seq: seq, kind: stateKind(h.Get(headerState)), run: h.Get(headerRun),
		owner: h.Get(headerOwner), host: h.Get(headerHost), cancel: h.Get(headerCancel), input: h.Get(headerInput),
		method: prediction.Method(h.Get(headerMethod)), streamed: h.Get(headerStreamed) != "",
	}
	if s.attempt, err = strconv.Atoi(h.Get(headerAttempt)); err != nil {
		return s, fmt.Errorf("%s: %w", headerAttempt, err)
	}
	s.payload, err = payloadOf(h, data)
	return s, err
}

// worker names the worker that runs it, or has run it, for people. It is empty if none has.
func (s state) worker() string {
	if s.host == "" || s.kind == returned {
		return ""
	}
	return s.host + "/" + s.owner
}

// tell returns a message to the worker that runs a prediction.
func (p place) tell(run, header, value string) *nats.Msg {
	m := nats.NewMsg(p.control())
	m.Header.Set(headerRun, run)
	m.Header.Set(header, value)
	return m
}

// asked is a request as it waits in the queue.
type asked struct {
	place
	seq    uint64 // in the stream
	run    string
	after  uint64
	input  string // see inputMark
	follow bool   // somebody reads the events of the run, from the start
	payload
}

func (a asked) message() *nats.Msg {
	m := nats.NewMsg(a.place.asked())
	m.Data = a.body
	h := m.Header
	h.Set(headerFormat, format)
	h.Set(headerRun, a.run)
	h.Set(headerAfter, strconv.FormatUint(a.after, 10))
	h.Set(headerInput, a.input)
	if a.follow {
		h.Set(headerFollow, "0")
	}
	a.payload.header(h)
	return m
}

func askedOf(subject string, seq uint64, h nats.Header, data []byte) (a asked, err error) {
	if h.Get(headerFormat) != format {
		return a, errFormat
	}
	a = asked{place: placeIn(subject), seq: seq, run: h.Get(headerRun), input: h.Get(headerInput), follow: h.Get(headerFollow) != ""}
	if a.after, err = strconv.ParseUint(h.Get(headerAfter), 10, 64); err != nil {
		return a, fmt.Errorf("%s: %w", headerAfter, err)
	}
	a.payload, err = payloadOf(h, data)
	return a, err
}
