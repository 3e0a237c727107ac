package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Protocol is the version of the protocol that this server speaks.
const Protocol = 1

// File is an entry of a file table: the contents of a file belong at a JSON pointer.
type File struct {
	Pointer   string `json:"pointer"`
	Path      string `json:"path"` // absolute, or relative to the directory
	Temporary bool   `json:"temporary,omitempty"`
	// The name of the file, if it is not the last part of Path.
	Name string `json:"name,omitempty"`
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
	// The server polls for the response, so the runner need not signal it.
	Watched bool            `json:"watched,omitempty"`
	Server  json.RawMessage `json:"server,omitempty"` // the server's own data, for recovery
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
	Stage          string    `json:"stage"`   // the stage that failed
	Failure        string    `json:"failure"` // its kind; "" from a runner that does not say it
	Error          string    `json:"error"`
	Traceback      string    `json:"traceback"`
	Warnings       []string  `json:"warnings"`
	Mode           string    `json:"mode"`
	MaxConcurrency int       `json:"max_concurrency"`
	Batch          *Batch    `json:"batch"` // nil: one call answers one prediction
	Healthcheck    bool      `json:"healthcheck"`
	Train          bool      `json:"train"`
	Python         string    `json:"python"`
	Cog            string    `json:"cog"`
}

// Refused reports whether the runner refuses the model as it is written; Traceback then lists the
// problems. Otherwise code of the model raised an exception, or the runner does not say the kind.
func (r SetupResult) Refused() bool { return r.Failure == "refused" }

// Batch describes calls that answer several predictions.
type Batch struct {
	MaxSize int     `json:"max_size"`
	Wait    float64 `json:"wait"` // seconds that a call waits for others
}

// HealthResult is health/response.json.
type HealthResult struct {
	Sequence int    `json:"sequence"`
	Healthy  bool   `json:"healthy"`
	Error    string `json:"error"`
}

// PutRequest gives a prediction to the runner.
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

// longInput is the size from which an Input is a part of its own, because its copy would take
// longer than a system call.
const longInput = 64 << 10

// encodeRequest keeps Input and Server byte for byte. json.Marshal would scan a large one again,
// compact and escape it.
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
	type envelope struct { // a Request without Input
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

// Request reads a request back after a restart of the server.
func (d *Dir) Request(fileID string) (r Request, ok bool, err error) {
	ok, err = d.getJSON(requestPrefix+fileID+jsonSuffix, mostEntry, &r)
	return r, ok, err
}

// PutCancel asks the runner to cancel a prediction.
func (d *Dir) PutCancel(id, reason string) error {
	data, err := json.Marshal(map[string]string{"id": id, "reason": reason})
	if err == nil {
		err = d.put(cancelPrefix+FileID(id)+jsonSuffix, data)
	}
	if full(err) {
		// The disk is full: an empty file cancels too.
		err = d.put(cancelPrefix+FileID(id)+jsonSuffix, nil)
	}
	if err != nil {
		return fmt.Errorf("put cancel %s: %w", id, err)
	}
	return nil
}

// PutStop tells the runner that no more requests will come.
func (d *Dir) PutStop() error {
	if err := d.put(stopName, nil); err != nil {
		return fmt.Errorf("put stop: %w", err)
	}
	return nil
}

// endings are the statuses of a response.
var endings = []string{"succeeded", "failed", "canceled"}

// LargeOutputError says that the output of a response exceeds the limit of Most bytes.
type LargeOutputError struct{ Most int64 }

func (e *LargeOutputError) Error() string {
	return fmt.Sprintf("the output is larger than %d bytes", e.Most)
}

// ForeignError says that the file in the place of a response is not one. Because the runner writes
// whole responses, the model has written it, and its prediction may go on.
type ForeignError struct{ why error }

func (e *ForeignError) Error() string { return e.why.Error() }

// Ended reports whether the runner has ended a prediction. It returns a *ForeignError or an
// *OddError if something else is in the place of the response.
func (d *Dir) Ended(fileID string) (bool, error) {
	_, ok, err := d.response(fileID)
	return ok, err
}

// response reads a response without an output that has a file of its own.
func (d *Dir) response(fileID string) (r Response, ok bool, err error) {
	name := responsePrefix + fileID + jsonSuffix
	data, ok, err := d.get(name, mostMessage)
	if !ok || err != nil {
		return Response{}, false, err
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return Response{}, false, &ForeignError{fmt.Errorf("read %s: %w", name, err)}
	}
	if r.ID == "" || FileID(r.ID) != fileID || !slices.Contains(endings, r.Status) {
		return Response{}, false, &ForeignError{fmt.Errorf("read %s: not a response", name)}
	}
	return r, true, nil
}

// Response reads the response of a prediction, if it exists. It returns a *ForeignError or an
// *OddError if something else is in its place. After any other error that is not about a file, the
// runner has ended the prediction.
func (d *Dir) Response(fileID string) (r Response, ok bool, err error) {
	if r, ok, err = d.response(fileID); !ok || err != nil {
		return r, false, err
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
			return Response{}, false,
				fmt.Errorf("read output of %s: %s: %w", r.ID, r.OutputPath, err)
		}
		r.Output = data
	}
	d.resolve(r.Files)
	return r, true, nil
}

// lookAnyway is how often Answered looks for the name although the directory seems unchanged,
// because some file systems record changes only at ticks of the clock.
const lookAnyway = 16

// Answered returns a function that reports whether there is a response, cheaply enough to be called
// in a loop without a pause. A lookup of a name takes the lock of the directory, which the runner
// needs to create the response. So the function looks up the name only if the size or time of the
// directory has changed.
func (d *Dir) Answered(fileID string) func() bool {
	path := d.join(responsePrefix + fileID + jsonSuffix)
	self := d.self()
	var last unix.Stat_t
	looks := 0
	return func() bool {
		var now unix.Stat_t
		seen := unix.Fstat(self, &now) == nil && looks%lookAnyway != 0 &&
			now.Size == last.Size && now.Mtim == last.Mtim
		last = now
		looks++
		return !seen && unix.Access(path, unix.F_OK) == nil
	}
}

// SetupResult reads the result of setup, if it exists.
func (d *Dir) SetupResult() (r SetupResult, ok bool, err error) {
	ok, err = d.getJSON(setupResultName, mostMessage, &r)
	if ok && r.Protocol != Protocol {
		return r, false, fmt.Errorf(
			"the runner speaks protocol %d, the server %d: install the same version of both",
			r.Protocol, Protocol)
	}
	return r, ok, err
}

// Schema reads the model's OpenAPI document, if it exists.
func (d *Dir) Schema() ([]byte, bool, error) { return d.get(schemaName, mostMessage) }

// PutHealth asks the runner to run the model's healthcheck once.
func (d *Dir) PutHealth(sequence int) error {
	data := fmt.Appendf(nil, `{"sequence": %d}`, sequence)
	if err := d.put(healthDir+"/request.json", data); err != nil {
		return fmt.Errorf("put health request: %w", err)
	}
	return nil
}

// Health reads the newest result of the model's healthcheck.
func (d *Dir) Health() (r HealthResult, ok bool, err error) {
	ok, err = d.getJSON(healthDir+"/response.json", mostMessage, &r)
	return r, ok, err
}

func (d *Dir) resolve(files []File) {
	for i := range files {
		files[i].Path = d.Abs(files[i].Path)
	}
}
