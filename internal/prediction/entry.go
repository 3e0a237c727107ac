package prediction

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"time"

	"github.com/coggo/coggo/internal/jsonscan"
)

// Entry is a prediction as a later server reads it, from the journal or from a queue: its request,
// and the data of the run. A raw member of the request is nil if it is stored elsewhere: Input in
// the request file or in Final, MaskedInput in Input if both are the same.
type Entry struct {
	Request
	Final json.RawMessage `json:"-"` // the terminal snapshot

	// Tells the runs of an id apart, because an id can run again.
	Run string `json:"run,omitzero"`
	// The offset in Final of an output that is in a file next to the entry.
	OutputAt int `json:"output_at,omitzero"`
	// Members of the input that the model does not know.
	Unknown []string `json:"unknown,omitzero"`
}

// NewEntry returns the entry of a run.
func NewEntry(r Request, run string) Entry {
	n := Entry{Request: r, Run: run}
	if bytes.Equal(r.MaskedInput, r.Input) {
		n.MaskedInput = nil
	}
	return n
}

// Encode keeps every byte of the raw members, because a webhook that is sent again must be the
// same. It does not write Final: spool.Journal.PutEnd does.
func (n Entry) Encode() EntryText {
	head, err := json.Marshal(n)
	if err != nil {
		panic(err) // it has only strings, numbers and booleans
	}
	parts, between := EntryText{}, "{"
	for _, m := range []struct {
		name  string
		value []byte
	}{{"input", n.Input}, {"echo", n.MaskedInput}, {"more", n.Extra}} {
		if m.value != nil {
			parts = append(parts, []byte(between+`"`+m.name+`":`), m.value)
			between = ","
		}
	}
	return append(parts, []byte(between), head[1:]) // never empty: there is a run
}

// EntryText is the text of an entry in parts, because some of them are large.
type EntryText [][]byte

// Len returns the length of the text in bytes.
func (e EntryText) Len() (n int) {
	for _, part := range e {
		n += len(part)
	}
	return n
}

// Bytes returns the text in one piece.
func (e EntryText) Bytes() []byte { return slices.Concat(e...) }

// WriteTo writes the text.
func (e EntryText) WriteTo(w io.Writer) (written int64, err error) {
	for _, part := range e {
		m, err := w.Write(part)
		written += int64(m)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// Raw returns the members of an entry that can be large.
func (n *Entry) Raw() map[string]*json.RawMessage {
	return map[string]*json.RawMessage{
		"input": &n.Input, "echo": &n.MaskedInput, "more": &n.Extra, "final": &n.Final,
	}
}

// Complete returns the request of an entry that was read.
func (n Entry) Complete() Request {
	r := n.Request
	if r.MaskedInput == nil {
		r.MaskedInput = r.Input
	}
	return r
}

// Stored is a Snapshot that was read from disk.
type Stored struct {
	ID          string          `json:"id"`
	Input       json.RawMessage `json:"input"`
	Status      Status          `json:"status"`
	Output      json.RawMessage `json:"output"`
	Error       string          `json:"error"`
	Logs        string          `json:"logs"`
	Metrics     json.RawMessage `json:"metrics"`
	CreatedAt   string          `json:"created_at"`
	StartedAt   time.Time       `json:"started_at"`
	CompletedAt time.Time       `json:"completed_at"`
}

// ReadSnapshot reads the JSON form of a Snapshot. Input and Output are slices of data.
func ReadSnapshot(data []byte) (s Stored, err error) {
	err = Decode(data, &s, map[string]*json.RawMessage{"input": &s.Input, "output": &s.Output})
	return s, err
}

// ReadExtra returns the members of a snapshot that Snapshot.Extra has added: those after the last
// one that every snapshot has.
func ReadExtra(data []byte) json.RawMessage {
	var more []byte
	scan := jsonscan.Scanner{Text: data, MaxDepth: maxEntryDepth}
	scan.Space()
	last := false
	_ = scan.Object(func(m jsonscan.Member) { // it was read before
		key := data[m.Key.Start:m.Key.End]
		if last {
			more = append(append(append(append(more, ','), key...), ':'), data[m.Value.Start:m.Value.End]...)
		}
		last = last || string(key) == `"completed_at"`
	})
	if more == nil {
		return nil
	}
	more[0] = '{'
	return append(more, '}')
}

// Restored returns the finished prediction of a snapshot that was read back. r is its request,
// whose MaskedInput is what clients are shown of the input.
func (s Stored) Restored(r Request, output Value) *Prediction {
	return Restore(r, s.StartedAt, s.Logs, Result{
		Status: s.Status, Output: output, Error: s.Error, Metrics: s.Metrics, CompletedAt: s.CompletedAt,
	})
}

// Decode decodes a JSON object into v. It does not decode the members that large names, but sets
// them to slices of data: encoding/json would scan each of them several times, and there can be
// hundreds of megabytes to read before the server answers.
func Decode(data []byte, v any, large map[string]*json.RawMessage) error {
	rest := []byte{'{'}
	scan := jsonscan.Scanner{Text: data, MaxDepth: maxEntryDepth}
	scan.Space()
	if scan.Peek() != '{' {
		return scan.Unexpected()
	}
	err := scan.Object(func(m jsonscan.Member) {
		key, value := data[m.Key.Start:m.Key.End], data[m.Value.Start:m.Value.End:m.Value.End]
		if to := large[jsonscan.Unquote(key)]; to == nil {
			rest = append(append(append(append(rest, key...), ':'), value...), ',')
		} else if value[0] != 'n' { // null counts as absent
			*to = value
		}
	})
	if err != nil {
		return err
	}
	if len(rest) > 1 {
		rest = rest[:len(rest)-1]
	}
	return json.Unmarshal(append(rest, '}'), v)
}

// maxEntryDepth is more than the nesting of any output.
const maxEntryDepth = 100_000
