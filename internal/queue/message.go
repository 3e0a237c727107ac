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
	headerTurn    = "Coggo-Turn"    // counts all claims, also those that were given back; see turnIn
	headerOwner   = "Coggo-Owner"   // of a claim: the process
	headerHost    = "Coggo-Host"    // of a claim: the machine, for people
	headerCancel  = "Coggo-Cancel"  // the reason why the run must end
	headerClaim   = "Coggo-Claim"   // of a cancel: sequence of the claim in which it is noted
	headerKept    = "Coggo-Kept"    // it was asked for again: a client that leaves does not cancel it
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
	seq     uint64 // 0: there is no state yet
	kind    stateKind
	run     string
	owner   string
	host    string // of the worker that runs it, or has run it; empty if none has
	attempt int
	turn    int    // counts all claims of the run, also those that were given back; 0 before the first
	cancel  string // the reason of a cancel; empty if nobody has canceled it
	kept    bool   // it was asked for again, so it goes on when a client leaves
	input   string
	method  prediction.Method
	payload
}

// payload is the body of a message, in it or in pieces.
type payload struct {
	body   []byte // of an end in pieces, what lists show of it
	object object // empty if the body is the whole
	parts  parts  // of an end in pieces

	record   []byte // of the events, behind the body; nil if there is none here
	recordIn object // a large record, in pieces
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

// fill makes the payload that of a message.
func (p payload) fill(m *nats.Msg) {
	m.Data = p.body
	p.header(m.Header)
	if p.recordIn.name != "" {
		m.Header.Set(headerRecord, p.recordIn.String())
	}
	if p.record != nil {
		m.Header.Set(headerEvents, strconv.Itoa(len(p.body)))
		m.Data = append(m.Data[:len(p.body):len(p.body)], p.record...)
	}
}

func payloadOf(h nats.Header, data []byte) (p payload, err error) {
	p.body = data
	if text := h.Get(headerEvents); text != "" {
		at, err := strconv.Atoi(text)
		if err != nil || at < 0 || at > len(data) {
			return p, fmt.Errorf("%s: %q of %d bytes", headerEvents, text, len(data))
		}
		p.body, p.record = data[:at:at], data[at:]
	}
	if p.recordIn, err = parseObject(h.Get(headerRecord)); err != nil {
		return p, fmt.Errorf("%s: %w", headerRecord, err)
	}
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

// unreadable is why a message can't be read.
type unreadable struct{ error }

// Unwrap returns the error itself.
func (u unreadable) Unwrap() error { return u.error }

// turnIn reads the turn of a state or of events. Writers that do not know of turns count attempts
// alone.
func turnIn(h nats.Header) (int, error) {
	name := headerTurn
	if h.Get(name) == "" {
		name = headerAttempt
	}
	turn, err := strconv.Atoi(h.Get(name))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return turn, nil
}

// message returns s as a message, without what it expects of the stream.
func (s state) message() *nats.Msg {
	m := nats.NewMsg(s.place.state())
	s.payload.fill(m)
	h := m.Header
	h.Set(headerFormat, format)
	h.Set(headerState, string(s.kind))
	h.Set(headerRun, s.run)
	h.Set(headerOwner, s.owner)
	h.Set(headerAttempt, strconv.Itoa(s.attempt))
	h.Set(headerTurn, strconv.Itoa(s.turn))
	h.Set(headerInput, s.input)
	h.Set(headerMethod, string(s.method))
	if s.host != "" {
		h.Set(headerHost, s.host)
	}
	if s.cancel != "" {
		h.Set(headerCancel, s.cancel)
	}
	if s.kept {
		h.Set(headerKept, "1")
	}
	return m
}

// stateOf reads a state. seq is its sequence in the stream. An error is unreadable.
func stateOf(subject string, seq uint64, h nats.Header, data []byte) (state, error) {
	s, err := readState(subject, seq, h, data)
	if err != nil {
		return s, unreadable{err}
	}
	return s, nil
}

func readState(subject string, seq uint64, h nats.Header, data []byte) (s state, err error) {
	if h.Get(headerFormat) != format {
		return s, errFormat
	}
	s = state{
		place: placeIn(subject), seq: seq, kind: stateKind(h.Get(headerState)), run: h.Get(headerRun),
		owner: h.Get(headerOwner), host: h.Get(headerHost), cancel: h.Get(headerCancel), input: h.Get(headerInput),
		method: prediction.Method(h.Get(headerMethod)), kept: h.Get(headerKept) != "",
	}
	if s.attempt, err = strconv.Atoi(h.Get(headerAttempt)); err != nil {
		return s, fmt.Errorf("%s: %w", headerAttempt, err)
	}
	if s.turn, err = turnIn(h); err != nil {
		return s, err
	}
	if s.run == "" {
		return s, fmt.Errorf("%s is missing", headerRun)
	}
	if s.kind != ended && !s.underway() {
		return s, fmt.Errorf("%s: %q", headerState, s.kind)
	}
	s.payload, err = payloadOf(h, data)
	return s, err
}

// underway reports whether the run has a state that is not its end.
func (s state) underway() bool { return s.kind == claimed || s.kind == returned }

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

// tellCanceled returns the message that tells a worker to end its run. s is its claim, in which the
// cancel is noted.
func (s state) tellCanceled() *nats.Msg {
	m := s.place.tell(s.run, headerCancel, s.cancel)
	m.Header.Set(headerOwner, s.owner)
	m.Header.Set(headerTurn, strconv.Itoa(s.turn))
	m.Header.Set(headerClaim, strconv.FormatUint(s.seq, 10))
	return m
}

// notedIn reads what tellCanceled has written. An older gateway tells the reason alone.
func notedIn(h nats.Header) (s state) {
	s.owner, s.cancel = h.Get(headerOwner), h.Get(headerCancel)
	s.turn, _ = strconv.Atoi(h.Get(headerTurn))
	s.seq, _ = strconv.ParseUint(h.Get(headerClaim), 10, 64)
	return s
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

// askedOf reads a request. seq is its sequence in the stream. An error is unreadable.
func askedOf(subject string, seq uint64, h nats.Header, data []byte) (asked, error) {
	a, err := readAsked(subject, seq, h, data)
	if err != nil {
		return a, unreadable{err}
	}
	return a, nil
}

func readAsked(subject string, seq uint64, h nats.Header, data []byte) (a asked, err error) {
	if h.Get(headerFormat) != format {
		return a, errFormat
	}
	a = asked{
		place: placeIn(subject), seq: seq, run: h.Get(headerRun), input: h.Get(headerInput),
		follow: h.Get(headerFollow) != "",
	}
	if a.after, err = strconv.ParseUint(h.Get(headerAfter), 10, 64); err != nil {
		return a, fmt.Errorf("%s: %w", headerAfter, err)
	}
	if a.run == "" {
		return a, fmt.Errorf("%s is missing", headerRun)
	}
	a.payload, err = payloadOf(h, data)
	return a, err
}
