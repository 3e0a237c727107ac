package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Journal is a subdirectory with the server's own entries, one JSON file for an id. A server that
// is started after a crash continues from them.
type Journal struct {
	dir  *Dir
	name string
}

// The journals.
const (
	Queued  = "queued"  // accepted, not yet given to a runner
	Results = "results" // finished, retained for clients that ask later
	Outbox  = "outbox"  // terminal webhooks that the receiver has not acknowledged
)

// Journal opens a journal of the directory.
func (d *Dir) Journal(name string) (*Journal, error) {
	j := &Journal{dir: d, name: name}
	if err := j.make(); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	return j, nil
}

func (j *Journal) make() error { return os.MkdirAll(j.dir.join(j.name), 0o700) }

// Put writes the entry of id, which is JSON, byte for byte: a receiver must read the same after a
// crash as before. On a full disk, the entry may use the space that KeepRoom reserved.
func (j *Journal) Put(id string, entry []byte) error {
	err := j.insist(true, func() error { return j.dir.put(j.file(id, jsonSuffix), entry) })
	if err != nil {
		return fmt.Errorf("write %s to %s: %w", id, j.name, err)
	}
	return nil
}

// insist tries a write once more if that may help. Only a small write may use the space that
// KeepRoom reserved.
func (j *Journal) insist(small bool, write func() error) error {
	err := write()
	if small && full(err) && j.dir.useRoom() {
		err = write()
	}
	if errors.Is(err, fs.ErrNotExist) { // a model may have removed the directory
		if err = errors.Join(j.dir.make(), j.make()); err == nil {
			err = write()
		}
	}
	return err
}

// Take turns the request of id in dir into the entry of as. It needs no disk space, and the request
// is gone.
func (j *Journal) Take(dir *Dir, id, as string) error {
	from := dir.join(requestPrefix + FileID(id) + jsonSuffix)
	to := j.dir.join(j.name, FileID(as)+jsonSuffix)
	if err := retry(func() error { return unix.Rename(from, to) }); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// Remove deletes the entry of id, if it exists.
func (j *Journal) Remove(id string) error {
	return errors.Join(j.forget(id, jsonSuffix), j.forget(id, outputSuffix))
}

// Has reports whether there is an entry of id.
func (j *Journal) Has(id string) bool {
	_, err := os.Stat(j.dir.join(j.name, FileID(id)+jsonSuffix))
	return err == nil
}

// Expire deletes the entries that were written before a time, without reading them. An output is
// deleted with its entry, because it may be older.
func (j *Journal) Expire(before time.Time) error {
	entries, err := os.ReadDir(j.dir.join(j.name))
	for _, entry := range entries {
		id, isNote := strings.CutSuffix(entry.Name(), jsonSuffix)
		if !isNote {
			continue
		}
		if info, unknown := entry.Info(); unknown == nil && info.ModTime().Before(before) {
			err = errors.Join(err,
				remove(j.dir.join(j.name, id+jsonSuffix)),
				remove(j.dir.join(j.name, id+outputSuffix)))
		}
	}
	return err
}

// Each calls f with every entry. An unreadable entry does not hide the others: the error at the end
// names it.
func (j *Journal) Each(f func(entry []byte) error) error {
	entries, err := os.ReadDir(j.dir.join(j.name))
	if err != nil {
		return fmt.Errorf("read journal %s: %w", j.name, err)
	}
	var failed error
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), jsonSuffix) {
			failed = errors.Join(failed, j.removeLone(entry.Name()))
			continue
		}
		data, found, err := j.dir.get(filepath.Join(j.name, entry.Name()), mostEntry)
		if found {
			err = f(data)
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("read %s/%s: %w", j.name, entry.Name(), err))
		}
	}
	return failed
}

// removeLone deletes an output whose entry was never written.
func (j *Journal) removeLone(name string) error {
	id, ok := strings.CutSuffix(name, outputSuffix)
	if !ok {
		return nil
	}
	if _, err := os.Stat(j.dir.join(j.name, id+jsonSuffix)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return remove(j.dir.join(j.name, name))
}

// roomBytes is the space that is reserved on disk for entries of ends: those of several
// predictions, or of one with some text.
const roomBytes = 32 << 10

// zeros fill that space. A slice in KeepRoom would lie on the stack, and each goroutine that calls
// it would have 32 KiB more for as long as its prediction waits.
var zeros [roomBytes]byte

// KeepRoom reserves the space that Put may use on a full disk, unless it is reserved already.
func (d *Dir) KeepRoom() error {
	if d.room.Load() {
		return nil
	}
	if info, err := os.Lstat(d.join(roomName)); err != nil || info.Size() < roomBytes {
		if err := d.put(roomName, zeros[:]); err != nil {
			return err
		}
	}
	d.room.Store(true)
	return nil
}

// GiveRoom frees the space that KeepRoom reserved.
func (d *Dir) GiveRoom() { d.useRoom() }

// useRoom frees the space, and reports whether any was reserved.
func (d *Dir) useRoom() bool {
	return d.room.CompareAndSwap(true, false) && remove(d.join(roomName)) == nil
}

// Key reads the key of PutKey.
func (d *Dir) Key() (key []byte, ok bool, err error) { return d.get(keyName, mostMessage) }

// PutKey stores a key of the server next to the journals, unless there is one.
func (d *Dir) PutKey(key []byte) error {
	if unix.Access(d.join(keyName), unix.F_OK) == nil {
		return nil
	}
	return d.put(keyName, key)
}

// Rest is what a server left in a directory for the next one.
type Rest struct {
	Unfinished bool // unfinished predictions
	Owed       bool // webhooks that no receiver has acknowledged
	Results    bool // of predictions that clients may ask for
}

// RestOf examines a directory that no server uses.
func RestOf(path string) Rest {
	some := func(pattern string) bool {
		found, _ := filepath.Glob(filepath.Join(path, pattern)) // the patterns are valid
		return len(found) > 0
	}
	return Rest{
		Unfinished: some(requestPrefix+"*"+jsonSuffix) ||
			some("*/"+requestPrefix+"*"+jsonSuffix) || some(Queued+"/*"),
		Owed:    some(Outbox + "/*" + jsonSuffix),
		Results: some(Results + "/*" + jsonSuffix),
	}
}

// KeepOwed removes everything from a directory but the webhooks that no receiver has acknowledged,
// and the files that belong to them.
func KeepOwed(path string) error {
	entries, err := os.ReadDir(path)
	for _, entry := range entries {
		switch entry.Name() {
		case Outbox, keyName, lockName:
		default:
			err = errors.Join(err, os.RemoveAll(filepath.Join(path, entry.Name())))
		}
	}
	return err
}
