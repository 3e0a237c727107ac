package spool

import (
	"bytes"
	"iter"
)

// News reports which predictions have new files, so that the others need not be looked at. It
// belongs to one goroutine.
type News struct {
	dir *Dir
	fd  int // of the inotify watch, or -1
	buf []byte
}

// newsBytes has room for about a thousand names.
const newsBytes = 64 << 10

// New is a prediction with a new file, or with more in its events.
type New struct {
	FileID   []byte // valid until the next one
	Response bool   // it is the response
}

// News returns a report on the directory. It watches from its first Read on.
func (d *Dir) News() *News { return &News{dir: d, fd: -1} }

// Watching reports whether there is a watch, which the caller should read from time to time.
func (n *News) Watching() bool { return n.fd >= 0 }

// named returns the prediction that a file belongs to.
func named(name []byte) (found New, ok bool) {
	name, _, _ = bytes.Cut(name, []byte{0})
	if id, ok := cut(name, eventsPrefix, linesSuffix); ok {
		return New{FileID: id}, true
	}
	id, ok := cut(name, responsePrefix, jsonSuffix)
	return New{FileID: id, Response: true}, ok
}

// Read calls take with what is new since the last call, in some batches, oldest first. It reports
// false if it may have missed something, so that the caller has to list the directory: on the first
// call, without inotify, when the kernel's queue was full, or when the directory was replaced.
func (n *News) Read(take func(iter.Seq[New])) (all bool) { return n.read(take) }
