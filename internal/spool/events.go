package spool

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// EventType is the type of an Event.
type EventType string

// The types of events. Readers ignore others.
const (
	OutputEvent EventType = "output"
	LogEvent    EventType = "log"
	MetricEvent EventType = "metric"
)

// Event is a line of events-{id}.jsonl. Type decides which of the other fields are set.
type Event struct {
	Type EventType `json:"type"`

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

// Events reads the events of one prediction as the runner appends them. It belongs to one
// goroutine.
type Events struct {
	dir  *Dir
	name string
	fd   int    // -1 until the file exists
	buf  []byte // the beginning of an incomplete line
	full bool   // the last read filled buf, so there may be more
	odd  error  // why reading has stopped for good
}

// The buffer of Events is small while there is little to read, and larger while there is more.
const (
	leastRead = 4 << 10
	mostRead  = 1 << 20
)

// Events returns a reader for the events of id. The file may appear later, or never.
func (d *Dir) Events(id string) *Events {
	return &Events{dir: d, name: eventsPrefix + FileID(id) + linesSuffix, fd: -1}
}

// Next returns the events that were appended since the last call; more says that there are others.
// It returns an error for a line that is not an event, and for a file that can't be read: now (an
// fs.PathError) or ever (an OddError). It returns the events around a bad line too.
func (e *Events) Next() (events []Event, more bool, err error) {
	if e.odd != nil {
		return nil, false, e.odd
	}
	if e.fd < 0 {
		if e.fd, _, err = e.dir.openFile(e.name); e.fd < 0 {
			return nil, false, err
		}
	}
	for {
		e.makeRoom()
		room := e.buf[len(e.buf):cap(e.buf)]
		n, bad := read(e.fd, room)
		if bad != nil {
			return nil, false, &fs.PathError{Op: "read", Path: e.name, Err: bad}
		}
		e.buf = e.buf[:len(e.buf)+n]
		if bytes.IndexByte(room[:n], '\n') >= 0 {
			events, err = e.parse()
		}
		if e.odd = e.judge(); e.odd != nil {
			e.buf = nil
			return events, false, e.odd
		}
		e.full = n == len(room) // a short read of a regular file means its end
		if !e.full || events != nil || err != nil {
			return events, e.full, err
		}
	}
}

// judge returns an error if the incomplete line can't become an event.
func (e *Events) judge() error {
	if len(e.buf) > 0 && e.buf[0] == 0 {
		return &OddError{e.name, "damaged: it has a hole", false}
	}
	if most := e.dir.mostLine(); int64(len(e.buf)) > most {
		text := fmt.Sprintf("damaged: a line is longer than the limit of %d bytes", most)
		return &OddError{e.name, text, false}
	}
	return nil
}

// makeRoom resizes the buffer according to the last read.
func (e *Events) makeRoom() {
	size := cap(e.buf)
	switch {
	case size == 0:
		size = leastRead
	case e.full:
		size = max(2*len(e.buf), min(4*size, mostRead))
	}
	if size != cap(e.buf) {
		e.buf = append(make([]byte, 0, size), e.buf...)
	}
}

// parse takes the complete lines out of the buffer. It reports the first bad one.
func (e *Events) parse() (events []Event, err error) {
	rest := e.buf
	for {
		line, after, whole := bytes.Cut(rest, []byte{'\n'})
		if !whole {
			break
		}
		rest = after
		var event Event
		if bad := json.Unmarshal(line, &event); bad != nil {
			if err == nil {
				err = fmt.Errorf("read %s: %w", e.name, bad)
			}
			continue
		}
		e.dir.resolve(event.Files)
		events = append(events, event)
	}
	if cap(e.buf) > mostRead && len(rest) < mostRead { // a long line has ended
		e.buf = bytes.Clone(rest)
	} else {
		e.buf = e.buf[:copy(e.buf, rest)]
	}
	return events, err
}

// Found reports whether the events file exists.
func (e *Events) Found() bool { return e.fd >= 0 }

// Close closes the file.
func (e *Events) Close() error {
	if e.fd < 0 {
		return nil
	}
	return unix.Close(e.fd)
}
