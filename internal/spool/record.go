package spool

import (
	"sync"

	"golang.org/x/sys/unix"
)

// Record keeps on disk the text that a prediction that runs alone writes to its standard streams,
// for a later server: text in a pipe, or in the memory of this server, is lost with the server. The
// file is created with the first text. A prediction never fails because its record can't be
// written: on a full disk, the record frees its space.
type Record struct {
	dir  *Dir
	name string

	mu    sync.Mutex // guards the rest, and the order of writes
	fd    int        // -1 before the first text and after the end
	room  int64      // bytes that may still be kept
	ended bool
}

// Record returns the record of id, of at most most bytes.
func (d *Dir) Record(id string, most int64) *Record {
	return &Record{dir: d, name: recordName(id), fd: -1, room: most}
}

func recordName(id string) string { return recordPrefix + FileID(id) + textSuffix }

// Add appends text, as far as it fits.
func (r *Record) Add(text []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended || r.room <= 0 || len(text) == 0 {
		return
	}
	if r.fd < 0 {
		if r.fd = r.dir.create(r.name); r.fd < 0 {
			r.ended = true
			return
		}
	}
	text = text[:min(int64(len(text)), r.room)]
	r.room -= int64(len(text))
	if _, err := fdWriter(r.fd).Write(text); err != nil {
		r.room = 0 // for example, the disk is full; text after a gap would mislead
		// The response needs the space more.
		_ = unix.Ftruncate(r.fd, 0)
	}
}

// create opens a new file for writing. It returns -1 if that fails.
func (d *Dir) create(name string) int {
	path := d.join(name)
	if remove(path) != nil {
		return -1
	}
	fd, err := open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return -1
	}
	return fd
}

// Close ends the record. Its file is removed with the other files of the prediction.
func (r *Record) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended = true; r.fd >= 0 {
		_ = unix.Close(r.fd)
		r.fd = -1
	}
}

// Recorded returns the text that an earlier server recorded of id.
func (d *Dir) Recorded(id string) []byte {
	// Unreadable text is lost, as it would be without a record.
	text, _, _ := d.get(recordName(id), mostEntry)
	return text
}
