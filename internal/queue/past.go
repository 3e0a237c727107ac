package queue

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/coggo/coggo/internal/prediction"
)

// The past of a run is stored with its end, so that any process can replay its events, and sent to
// a reader that comes late. It is a snapshot with a record of the events behind it. The record does
// not repeat the output and the logs: it has the length of each of their parts. Output files count
// as they are stored, not as data URLs.

// Without a record the only event before the end is the start.
const (
	headerEvents = "Coggo-Events" // the offset in the body at which the record begins
	headerRecord = "Coggo-Record" // a large record lies in pieces, by this name
)

// mostRecord bounds a record. It is more than the events of one server take that are kept, unless
// they are metrics with large values.
const mostRecord = 16 << 20

// record is the events of a run, oldest first. An event is the length of an item in the output, or
// an event as it is sent live, with the length of its text in the logs.
type record struct {
	First  int               `json:"first"`            // number of the first of them
	Before int               `json:"before,omitempty"` // number before that of the first event ever
	Items  int               `json:"items,omitempty"`  // of the output whose events were dropped
	ItemAt int               `json:"item_at,omitempty"`
	LogAt  int               `json:"log_at,omitempty"`
	Events []json.RawMessage `json:"events"`
}

// recordRoom is more than a record takes in addition to its events.
const recordRoom = 256

// recordOf returns the record of what a turn has done so far, in at most so many bytes: the oldest
// events are dropped. It returns nil if the snapshot says it all.
func recordOf(past prediction.Past, turn, most int) []byte {
	if past.Plain(turn) {
		return nil
	}
	inLogs := utf8.Valid(past.Logs) // else the snapshot does not have the same bytes
	var list []byte
	starts := make([]int, 0, len(past.Events))
	for _, e := range past.Events {
		starts = append(starts, len(list))
		list = append(appendRecorded(list, e, inLogs, len(past.Items) > 0), ',')
	}
	from := 0
	for from < len(starts) && len(list)-starts[from] > most-recordRoom {
		from++
	}
	r := record{First: past.First + from, Before: past.Before}
	r.locate(past, past.Events[from:])
	if !inLogs {
		r.LogAt = len(bytes.ToValidUTF8(past.Logs[:r.LogAt], []byte("\uFFFD"))) // as the snapshot has it
	}
	head, err := json.Marshal(r)
	if err != nil {
		return nil // it has only numbers
	}
	head = head[:len(head)-len("null}")]
	head = append(head, '[')
	if from < len(starts) {
		head = append(head, list[starts[from]:len(list)-1]...)
	}
	return append(head, "]}"...)
}

func appendRecorded(dst []byte, e prediction.Event, inLogs, inOutput bool) []byte {
	switch {
	case e.Kind == prediction.KindOutput && inOutput:
		return strconv.AppendInt(dst, int64(e.Chunk().StoredLen()), 10)
	case e.Kind == prediction.KindLog && inLogs:
		dst = prediction.AppendString(append(dst, `{"kind":"log","source":`...), e.Source())
		return append(strconv.AppendInt(append(dst, `,"len":`...), int64(len(e.Text())), 10), '}')
	}
	data, err := json.Marshal(eventOf(e))
	if err != nil {
		return append(dst, `{}`...) // a chunk is JSON already
	}
	return append(dst, data...)
}

// locate notes where the data of the events begins.
func (r *record) locate(past prediction.Past, kept []prediction.Event) {
	r.Items, r.LogAt = len(past.Items), len(past.Logs)
	var last []byte
	for _, e := range kept {
		switch e.Kind {
		case prediction.KindLog:
			last = e.Text()
			r.LogAt -= len(last)
		case prediction.KindOutput:
			r.Items = min(r.Items, e.Index())
		default: // it has its data
		}
	}
	if last != nil && last[len(last)-1] != '\n' && past.Status.Terminal() {
		r.LogAt-- // the end has ended the line
	}
	r.ItemAt = len("[")
	for _, item := range past.Items[:r.Items] {
		r.ItemAt += item.StoredLen() + len(",")
	}
}

// past is what was read of a run: a snapshot with its record.
type past struct {
	prediction.Stored
	output prediction.Value
	size   int                                       // of the output as it is stored, with files as they are
	cut    func(at, n int) (prediction.Value, error) // a part of it
	record []byte                                    // nil: the snapshot says it all
}

// play lets a new prediction do what the run has done in a turn. It reports whether the items are
// the output.
func (s past) play(p *prediction.Prediction, turn int) (streamed bool, err error) {
	if s.record == nil {
		p.Reset(turn)
		if !s.StartedAt.IsZero() {
			p.Start(s.StartedAt)
		}
		return false, nil
	}
	var r record
	if err := json.Unmarshal(s.record, &r); err != nil {
		return false, fmt.Errorf("the record of the events: %w", err)
	}
	return s.playRecord(p, r)
}

func (s past) playRecord(p *prediction.Prediction, r record) (streamed bool, err error) {
	logs := []byte(s.Logs)
	dropped := prediction.Dropped{
		First: r.First, Before: r.Before, Items: r.Items, Metrics: s.Metrics, LogRoom: len(logs),
	}
	if dropped.Logs, err = part(logs, 0, r.LogAt); err != nil {
		return false, err
	}
	if r.First > r.Before+1 || len(r.Events) == 0 {
		dropped.Started = s.StartedAt
	}
	if r.Items > 0 {
		end := r.ItemAt - len(",")
		if dropped.Joined, err = s.items(len("["), end-len("[")); err != nil {
			return false, err
		}
	}
	p.Skip(dropped)
	streamed = r.Items > 0
	for _, data := range r.Events {
		if n, bad := strconv.Atoi(string(data)); bad == nil {
			item, err := s.items(r.ItemAt, n)
			if err != nil {
				return false, err
			}
			p.Yield(item)
			r.ItemAt += n + len(",")
			streamed = true
			continue
		}
		if r.LogAt, err = s.replay(p, data, logs, r.LogAt); err != nil {
			return false, err
		}
	}
	if r.LogAt+len("\n") < len(logs) { // the events have texts of their own
		p.ShowLogs(logs)
	}
	return streamed, nil
}

// items returns what is at an offset of the list that is the output.
func (s past) items(at, n int) (prediction.Value, error) {
	if at < len("[") || n < 0 || at >= s.size || n >= s.size-at {
		return prediction.Value{}, errRecord
	}
	return s.cut(at, n)
}

// replay applies one event that is not only a length. It returns where the text of the next one
// begins in the logs.
func (s past) replay(p *prediction.Prediction, data, logs []byte, at int) (next int, err error) {
	var e event
	if err := json.Unmarshal(data, &e); err != nil {
		return at, fmt.Errorf("the record of the events: %w", err)
	}
	if e.Len > 0 {
		if e.Text, err = part(logs, at, e.Len); err != nil {
			return at, err
		}
		at += e.Len
	}
	e.apply(p, prediction.Value{}, s.StartedAt)
	return at, nil
}

// errRecord is a record that does not fit its snapshot.
var errRecord = errors.New("the record of the events does not fit the snapshot before it")

func part(text []byte, at, n int) ([]byte, error) {
	if at < 0 || n < 0 || at > len(text) || n > len(text)-at {
		return nil, errRecord
	}
	return text[at : at+n : at+n], nil
}

// result is the end of the run.
func (s past) result(streamed bool) prediction.Result {
	r := prediction.Result{
		Status: s.Status, Output: s.output, Streamed: streamed, Error: s.Error, Metrics: s.Metrics,
		StartedAt: s.StartedAt, CompletedAt: s.CompletedAt,
	}
	if streamed {
		r.Output = prediction.Value{}
	}
	return r
}

// ended returns the prediction of an end, with its events.
func (s past) ended(r prediction.Request, turn, history int) (*prediction.Prediction, error) {
	p := prediction.New(r, prediction.Limits{History: history})
	streamed, err := s.play(p, turn)
	if err != nil {
		return nil, err
	}
	p.Finish(s.result(streamed))
	p.Publish()
	return p, nil
}
