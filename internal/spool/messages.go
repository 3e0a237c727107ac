package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

// Protocol is the version of the protocol that this server speaks.
const Protocol = 1

// File is an entry of a file table: contents that belong at a JSON pointer.
type File struct {
	Pointer   string `json:"pointer"`
	Path      string `json:"path"` // absolute, or relative to the directory
	Temporary bool   `json:"temporary,omitempty"`
	Name      string `json:"name,omitempty"` // what the file is called, where that is not the end of Path
}

// Request is request-{id}.json.
type Request struct {
	ID          string            `json:"id"`
	Method      string            `json:"method"`
	Input       json.RawMessage   `json:"input"`
	Files       []File            `json:"files"`
	Context     map[string]string `json:"context"`
	CreatedAt   string            `json:"created_at"`
	StartedAt   string            `json:"started_at"`
	Deadline    string            `json:"deadline,omitempty"`
	TraceParent string            `json:"traceparent,omitempty"`
	TraceState  string            `json:"tracestate,omitempty"`
	Watched     bool              `json:"watched,omitempty"` // the server looks for the response; no signal need tell of it
	Server      json.RawMessage   `json:"server,omitempty"`  // the server's own notes, for recovery
}

// Response is response-{id}.json.
type Response struct {
	ID          string          `json:"id"`
	Status      string          `json:"status"`
	Output      json.RawMessage `json:"output"`
	OutputPath  string          `json:"output_path"`
	Streamed    bool            `json:"streamed"`
	Silent      bool            `json:"silent"` // there are no events
	Files       []File          `json:"files"`
	Error       string          `json:"error"`
	Traceback   string          `json:"traceback"`
	Metrics     json.RawMessage `json:"metrics"`
	CompletedAt time.Time       `json:"completed_at"`
}

// SetupResult is setup-result.json.
type SetupResult struct {
	Protocol       int       `json:"protocol"`
	Status         string    `json:"status"`
	StartedAt      time.Time `json:"started_at"`
	CompletedAt    time.Time `json:"completed_at"`
	Stage          string    `json:"stage"`   // what failed
	Failure        string    `json:"failure"` // of what kind; "" of a runner that doesn't say it
	Error          string    `json:"error"`
	Traceback      string    `json:"traceback"`
	Warnings       []string  `json:"warnings"`
	Mode           string    `json:"mode"`
	MaxConcurrency int       `json:"max_concurrency"`
	Batch          *Batch    `json:"batch"` // nil: predictions are answered one by one
	Healthcheck    bool      `json:"healthcheck"`
	Train          bool      `json:"train"`
	Python         string    `json:"python"`
	Cog            string    `json:"cog"`
}

// Refused reports whether the runner cannot serve the model as it is written: Traceback then lists
// the problems. Else code of the model raised an exception, or the runner doesn't say it.
func (r SetupResult) Refused() bool { return r.Failure == "refused" }

// Batch is what a model says of calls that answer several predictions.
type Batch struct {
	MaxSize int     `json:"max_size"`
	Wait    float64 `json:"wait"` // for others, in seconds
}

// HealthResult is health/response.json.
type HealthResult struct {
	Sequence int    `json:"sequence"`
	Healthy  bool   `json:"healthy"`
	Error    string `json:"error"`
}

// PutRequest hands a prediction to the runner.
func (d *Dir) PutRequest(r Request) error {
	parts, err := encodeRequest(r)
	fid := FileID(r.ID)
	if err == nil {
		err = d.put(requestPrefix+fid+jsonSuffix, parts...)
	}
	if err == nil && len(parts) > 1 {
		d.hold(fid)
	}
	if err != nil {
		return fmt.Errorf("put request %s: %w", r.ID, err)
	}
	return nil
}

// longInput is the size from which an Input is written by itself: to copy a large one takes longer
// than a system call.
const longInput = 64 << 10

// encodeRequest keeps Input and Server byte for byte: json.Marshal would scan a large one once
// more, compact and escape it.
func encodeRequest(r Request) (parts [][]byte, err error) {
	input, server := r.Input, r.Server
	if input == nil {
		input = json.RawMessage("{}")
	}
	r.Input, r.Server = nil, nil
	if r.Files == nil {
		r.Files = []File{}
	}
	if r.Context == nil {
		r.Context = map[string]string{}
	}
	type envelope struct { // Request without Input
		Request
		Input json.RawMessage `json:"input,omitempty"`
	}
	head, err := json.Marshal(envelope{Request: r})
	if err != nil {
		return nil, err
	}
	head = head[:len(head)-1]
	if server != nil {
		head = append(append(head, `,"server":`...), server...)
	}
	head = append(head, `,"input":`...)
	if len(input) < longInput {
		return [][]byte{append(append(head, input...), '}')}, nil
	}
	return [][]byte{head, input, {'}'}}, nil
}

// Request reads a request back, after a restart of the server.
func (d *Dir) Request(fileID string) (r Request, ok bool, err error) {
	ok, err = d.getJSON(requestPrefix+fileID+jsonSuffix, mostNote, &r)
	return r, ok, err
}

// PutCancel tells the runner to end a prediction.
func (d *Dir) PutCancel(id, reason string) error {
	data, err := json.Marshal(map[string]string{"id": id, "reason": reason})
	if err == nil {
		err = d.put(cancelPrefix+FileID(id)+jsonSuffix, data)
	}
	if full(err) {
		err = d.put(cancelPrefix+FileID(id)+jsonSuffix, nil) // it is there that counts
	}
	if err != nil {
		return fmt.Errorf("put cancel %s: %w", id, err)
	}
	return nil
}

// PutStop tells the runner that there will be no more requests.
func (d *Dir) PutStop() error {
	if err := d.put(stopName, nil); err != nil {
		return fmt.Errorf("put stop: %w", err)
	}
	return nil
}

// LargeOutputError is the limit in bytes that the output of a response exceeds.
type LargeOutputError struct{ Most int64 }

func (e *LargeOutputError) Error() string {
	return fmt.Sprintf("the output is larger than %d bytes", e.Most)
}

// Response reads the end of a prediction, when it is there.
func (d *Dir) Response(fileID string) (r Response, ok bool, err error) {
	ok, err = d.getJSON(responsePrefix+fileID+jsonSuffix, mostMessage, &r)
	if !ok || err != nil {
		return Response{}, false, err
	}
	if r.OutputPath != "" {
		data, found, err := d.get(r.OutputPath, d.maxOutput())
		if err == nil && !found {
			err = fs.ErrNotExist
		}
		if odd := (*OddError)(nil); errors.As(err, &odd) && odd.Large {
			return Response{}, false, &LargeOutputError{d.maxOutput()}
		}
		if err != nil {
			return Response{}, false, fmt.Errorf("read output of %s: %s: %w", r.ID, r.OutputPath, err)
		}
		r.Output = data
	}
	d.resolve(r.Files)
	return r, true, nil
}

// lookAnyway is how often Answered looks for the name although the directory seems to be as it was:
// some file systems note a change by the clock's tick.
const lookAnyway = 16

// Answered returns a function that reports whether there is a response: a look that is cheap enough
// to be repeated without a pause. To look for a name that is not there takes the directory's lock,
// which the runner needs to put it there, so it is done where size or time of the directory has
// changed.
func (d *Dir) Answered(fileID string) func() bool {
	path := d.join(responsePrefix + fileID + jsonSuffix)
	self := d.self()
	var last unix.Stat_t
	looks := 0
	return func() bool {
		var now unix.Stat_t
		seen := unix.Fstat(self, &now) == nil && looks%lookAnyway != 0 && now.Size == last.Size && now.Mtim == last.Mtim
		last = now
		looks++
		return !seen && unix.Access(path, unix.F_OK) == nil
	}
}

// SetupResult reads how setup ended, when it has.
func (d *Dir) SetupResult() (r SetupResult, ok bool, err error) {
	ok, err = d.getJSON(setupResultName, mostMessage, &r)
	if ok && r.Protocol != Protocol {
		return r, false, fmt.Errorf("the runner speaks protocol %d, the server %d: install the same version of both", r.Protocol, Protocol)
	}
	return r, ok, err
}

// Schema reads the model's OpenAPI document, when it is there.
func (d *Dir) Schema() ([]byte, bool, error) { return d.get(schemaName, mostMessage) }

// PutHealth asks the runner for one run of the model's healthcheck.
func (d *Dir) PutHealth(sequence int) error {
	data := fmt.Appendf(nil, `{"sequence": %d}`, sequence)
	if err := d.put(healthDir+"/request.json", data); err != nil {
		return fmt.Errorf("put health request: %w", err)
	}
	return nil
}

// Health reads the newest answer of the model's healthcheck.
func (d *Dir) Health() (r HealthResult, ok bool, err error) {
	ok, err = d.getJSON(healthDir+"/response.json", mostMessage, &r)
	return r, ok, err
}

func (d *Dir) resolve(files []File) {
	for i := range files {
		files[i].Path = d.Abs(files[i].Path)
	}
}
