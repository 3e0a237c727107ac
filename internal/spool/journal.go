package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Journal is a subdirectory in which the server keeps notes for itself, one JSON file for an id, so that a server
// that is started after a crash can take up what this one left.
type Journal struct {
	dir  *Dir
	name string
}

// The journals.
const (
	Queued  = "queued"  // accepted, not yet handed to a runner
	Results = "results" // finished, kept for clients that ask later
	Outbox  = "outbox"  // terminal webhooks that the receiver has not acknowledged
)

// Journal opens a journal of the directory.
func (d *Dir) Journal(name string) (*Journal, error) {
	if err := os.MkdirAll(d.join(name), 0o700); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	return &Journal{dir: d, name: name}, nil
}

// Put writes the note of id.
func (j *Journal) Put(id string, note any) error {
	data, err := json.Marshal(note)
	name := filepath.Join(j.name, FileID(id)+jsonSuffix)
	if err == nil {
		err = j.dir.put(name, data)
	}
	if errors.Is(err, fs.ErrNotExist) { // a model removes what it can
		if err = errors.Join(j.dir.make(), os.MkdirAll(j.dir.join(j.name), 0o700)); err == nil {
			err = j.dir.put(name, data)
		}
	}
	if err != nil {
		return fmt.Errorf("note %s in %s: %w", id, j.name, err)
	}
	return nil
}

// Remove deletes the note of id; it may be gone already.
func (j *Journal) Remove(id string) error {
	return remove(j.dir.join(j.name, FileID(id)+jsonSuffix))
}

// Has reports whether there is a note of id.
func (j *Journal) Has(id string) bool {
	_, err := os.Stat(j.dir.join(j.name, FileID(id)+jsonSuffix))
	return err == nil
}

// Each calls f with every note. One that can't be read is reported at the end and does not hide the others.
func (j *Journal) Each(f func(note []byte) error) error {
	entries, err := os.ReadDir(j.dir.join(j.name))
	if err != nil {
		return fmt.Errorf("read journal %s: %w", j.name, err)
	}
	var failed error
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), jsonSuffix) {
			continue
		}
		data, err := os.ReadFile(j.dir.join(j.name, entry.Name()))
		if err == nil {
			err = f(data)
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("read %s/%s: %w", j.name, entry.Name(), err))
		}
	}
	return failed
}
