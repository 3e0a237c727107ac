package spool

import (
	"sync"

	"golang.org/x/sys/unix"
)

// Record keeps on disk what a prediction that runs alone has written to its standard streams, for a
// later server: what is in a pipe, or in the memory of this server, ends with it. The file appears
// with the first text. Nobody fails because it can't be written: on a full disk it gives back what
// it has taken.
type Record struct {
	dir  *Dir
	name string

	mu    sync.Mutex // guards the rest, and the order of writes
	fd    int        // -1 before the first text and after the end
	room  int64      // bytes that may still be kept
	ended bool
}

// Record returns the record of id, of at most so many bytes.
func (d *Dir) Record(id string, most int64) *Record {
	return &Record{dir: d, name: recordName(id), fd: -1, room: most}
}

func recordName(id string) string { return recordPrefix + FileID(id) + textSuffix }

// Add keeps text, as much of it as there is room for.
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
		r.room = 0 // the disk is full, say: what follows a hole would mislead
		// The answer needs the room more.
		_ = unix.Ftruncate(r.fd, 0)
	}
}

// create opens a new file for writing; -1 when that fails.
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

// Close ends the record. The file goes with the other files of the prediction.
func (r *Record) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended = true; r.fd >= 0 {
		_ = unix.Close(r.fd)
		r.fd = -1
	}
}

// Recorded is what an earlier server has recorded of id.
func (d *Dir) Recorded(id string) []byte {
	text, _, _ := d.get(recordName(id), mostNote) // what can't be read is lost, as it was without a record
	return text
}
