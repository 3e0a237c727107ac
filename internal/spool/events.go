package spool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Event is a line of events-{id}.jsonl. Type says which of the other fields count.
type Event struct {
	Type string `json:"type"` // output, log or metric

	Chunk json.RawMessage `json:"chunk"` // output
	Files []File          `json:"files"` // output; pointers are relative to Chunk

	Source string `json:"source"` // log
	Data   string `json:"data"`   // log
	Copy   bool   `json:"copy"`   // log: another prediction has the same text

	Name  string          `json:"name"`  // metric
	Value json.RawMessage `json:"value"` // metric
	Mode  string          `json:"mode"`  // metric
	Key   string          `json:"key"`   // metric
	Total json.RawMessage `json:"total"` // metric
}

// Events reads the events of one prediction as they are appended. It belongs to one goroutine.
type Events struct {
	dir  *Dir
	name string
	fd   int    // 0 until the file is there
	rest []byte // a line whose end has not been written yet
}

// Events returns a reader for the events of id. The file may appear later or never.
func (d *Dir) Events(id string) *Events {
	return &Events{dir: d, name: eventsPrefix + FileID(id) + linesSuffix}
}

// Next returns the events that were appended since the last call. A line that is not an event is an error, and so is a file
// that can't be read (an fs.PathError): the events around it are returned.
func (e *Events) Next() ([]Event, error) {
	if e.fd == 0 {
		fd, err := open(e.dir.join(e.name), unix.O_RDONLY, 0)
		if err == unix.ENOENT {
			return nil, nil
		}
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: e.name, Err: err}
		}
		e.fd = fd
	}
	data, err := readAll(e.fd)
	if err != nil {
		err = &fs.PathError{Op: "read", Path: e.name, Err: err}
	}
	if len(data) == 0 {
		return nil, err
	}
	events, bad := e.parse(data)
	return events, errors.Join(err, bad)
}

func (e *Events) parse(data []byte) (events []Event, err error) {
	if len(e.rest) > 0 {
		data = append(e.rest, data...)
	}
	for {
		line, after, whole := bytes.Cut(data, []byte{'\n'})
		if !whole {
			e.rest = data
			return events, err
		}
		data = after
		var event Event
		if bad := json.Unmarshal(line, &event); bad != nil {
			err = errors.Join(err, fmt.Errorf("read %s: %w", e.name, bad))
			continue
		}
		e.dir.resolve(event.Files)
		events = append(events, event)
	}
}

// Found reports whether the runner has written any events.
func (e *Events) Found() bool { return e.fd != 0 }

// Close releases the file.
func (e *Events) Close() error {
	if e.fd == 0 {
		return nil
	}
	return unix.Close(e.fd)
}
