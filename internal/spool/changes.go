package spool

import (
	"bytes"
	"iter"
)

// Changes reports which predictions have new files, so that the others need not be looked at. It
// belongs to one goroutine.
type Changes struct {
	dir *Dir
	fd  int // of the inotify watch, or -1
	buf []byte
}

// changesBytes has room for about a thousand names.
const changesBytes = 64 << 10

// Change is a prediction with a new file, or with more in its events.
type Change struct {
	FileID   []byte // valid until the next Change
	Response bool   // it is the response
}

// Changes returns a report on the directory. It watches from its first Read on.
func (d *Dir) Changes() *Changes { return &Changes{dir: d, fd: -1} }

// Watching reports whether there is a watch, which the caller should read from time to time.
func (c *Changes) Watching() bool { return c.fd >= 0 }

// named returns the prediction that a file belongs to.
func named(name []byte) (found Change, ok bool) {
	name, _, _ = bytes.Cut(name, []byte{0})
	if id, ok := cut(name, eventsPrefix, linesSuffix); ok {
		return Change{FileID: id}, true
	}
	id, ok := cut(name, responsePrefix, jsonSuffix)
	return Change{FileID: id, Response: true}, ok
}

// Read calls take with what is new since the last call, in some batches, oldest first. It reports
// false if it may have missed something, so that the caller has to list the directory: on the first
// call, without inotify, when the kernel's queue was full, or when the directory was replaced.
func (c *Changes) Read(take func(iter.Seq[Change])) (all bool) { return c.read(take) }
