package supervisor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/coggo/coggo/internal/jsonscan"
	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/spool"
)

// journalEntry is the journal entry of a prediction, for a later server: its request, and what the
// server knows about the run. The raw members of the request are nil if they stand elsewhere: Input
// in the request file or in Final, Echo if it is the same as Input.
type journalEntry struct {
	prediction.Request
	Final json.RawMessage `json:"-"` // the terminal snapshot

	Run      string   `json:"run,omitzero"`       // an id can run again: this tells the runs apart
	OutputAt int      `json:"output_at,omitzero"` // where in Final the output belongs, which is in a file next to the entry
	Unknown  []string `json:"unknown,omitzero"`   // members of the input that the model does not know
}

func entryOf(r prediction.Request, run string) journalEntry {
	n := journalEntry{Request: r, Run: run}
	if bytes.Equal(r.Echo, r.Input) {
		n.Echo = nil
	}
	return n
}

// encode keeps every byte of the raw members: a webhook that is sent again must be the same. Final
// is written by spool.Journal.PutEnd.
func (n journalEntry) encode() []byte {
	head, err := json.Marshal(n)
	if err != nil {
		panic(err) // it has only strings, numbers and booleans
	}
	out := make([]byte, 1, len(head)+len(n.Input)+len(n.Echo)+len(n.More)+64)
	out[0] = '{'
	for _, m := range []struct {
		name  string
		value []byte
	}{{"input", n.Input}, {"echo", n.Echo}, {"more", n.More}} {
		if m.value != nil {
			out = append(append(append(append(out, '"'), m.name...), `":`...), m.value...)
			out = append(out, ',')
		}
	}
	return append(out, head[1:]...) // never empty: there is a run
}

// raw are the members of an entry that can be large.
func (n *journalEntry) raw() map[string]*json.RawMessage {
	return map[string]*json.RawMessage{"input": &n.Input, "echo": &n.Echo, "more": &n.More, "final": &n.Final}
}

// readEntry reads a note, or a request that was made one (spool.Journal.Take). What can be large is
// taken unread, as a part of data.
func readEntry(data []byte) (n journalEntry, request spool.Request, err error) {
	large := n.raw()
	large["server"] = &request.Server
	if err := decode(data, &n, large); err != nil || request.Server == nil {
		return n, request, err
	}
	if err := decode(data, &request, map[string]*json.RawMessage{"input": &request.Input, "server": &request.Server}); err != nil {
		return n, request, err
	}
	n, err = entryIn(request)
	return n, request, err
}

// entryIn is what a request file says to a later server.
func entryIn(request spool.Request) (n journalEntry, err error) {
	if err := decode(request.Server, &n, n.raw()); err != nil {
		return n, fmt.Errorf("request %s has no notes: %w", request.ID, err)
	}
	n.ID, n.Method, n.Context, n.CreatedAt = request.ID, prediction.Method(request.Method), request.Context, request.CreatedAt
	if n.Input == nil {
		n.Input = request.Input
	}
	return n, nil
}

// request is the request of a note that has been read.
func (n journalEntry) request() prediction.Request {
	r := n.Request
	if r.Echo == nil {
		r.Echo = r.Input
	}
	return r
}

// requestEntry is what the request file says to a later server, without what it says to the runner
// in the same bytes: see entryIn.
func requestEntry(f *flight) json.RawMessage {
	n := entryOf(f.prediction.Request, f.run)
	n.ID, n.Method, n.Context, n.CreatedAt = "", "", nil, ""
	n.Unknown = f.checked.Unknown
	if n.Echo == nil && bytes.Equal(n.Input, f.checked.Input) {
		n.Input = nil
	}
	return n.encode()
}

// storedSnapshot reads back what Snapshot wrote.
type storedSnapshot struct {
	Input       json.RawMessage   `json:"input"`
	Status      prediction.Status `json:"status"`
	Output      json.RawMessage   `json:"output"`
	Error       string            `json:"error"`
	Logs        string            `json:"logs"`
	Metrics     json.RawMessage   `json:"metrics"`
	StartedAt   time.Time         `json:"started_at"`
	CompletedAt time.Time         `json:"completed_at"`
}

func readSnapshot(data []byte) (s storedSnapshot, err error) {
	err = decode(data, &s, map[string]*json.RawMessage{"input": &s.Input, "output": &s.Output})
	return s, err
}

// decode decodes a JSON object into v, but takes the members that large names as they are:
// encoding/json would scan each of them several times, and there can be hundreds of megabytes to
// take up before the server answers.
func decode(data []byte, v any, large map[string]*json.RawMessage) error {
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
		} else if value[0] != 'n' { // null is as good as nothing
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

// maxEntryDepth is as deep as an output can be nested, and more.
const maxEntryDepth = 100_000
