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

// Journal is a subdirectory in which the server keeps notes for itself, one JSON file for an id, so
// that a server that is started after a crash can take up what this one left.
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
	j := &Journal{dir: d, name: name}
	if err := j.make(); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	return j, nil
}

func (j *Journal) make() error { return os.MkdirAll(j.dir.join(j.name), 0o700) }

// Put writes the note of id, which is JSON, byte for byte: what a receiver is told after a crash
// must be what it was told before. On a full disk it may take the room that KeepRoom has kept.
func (j *Journal) Put(id string, note []byte) error {
	err := j.insist(true, func() error { return j.dir.put(j.file(id, jsonSuffix), note) })
	if err != nil {
		return fmt.Errorf("note %s in %s: %w", id, j.name, err)
	}
	return nil
}

// insist tries to write once more where that may help. Only what is small may take the room that
// KeepRoom has kept.
func (j *Journal) insist(small bool, write func() error) error {
	err := write()
	if small && full(err) && j.dir.useRoom() {
		err = write()
	}
	if errors.Is(err, fs.ErrNotExist) { // a model removes what it can
		if err = errors.Join(j.dir.make(), j.make()); err == nil {
			err = write()
		}
	}
	return err
}

// Take makes the request of id in dir the note of as. It needs no room, and the request counts as
// one no more.
func (j *Journal) Take(dir *Dir, id, as string) error {
	from, to := dir.join(requestPrefix+FileID(id)+jsonSuffix), j.dir.join(j.name, FileID(as)+jsonSuffix)
	if err := retry(func() error { return unix.Rename(from, to) }); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// Remove deletes the note of id; it may be gone already.
func (j *Journal) Remove(id string) error {
	return errors.Join(j.forget(id, jsonSuffix), j.forget(id, outputSuffix))
}

// Has reports whether there is a note of id.
func (j *Journal) Has(id string) bool {
	_, err := os.Stat(j.dir.join(j.name, FileID(id)+jsonSuffix))
	return err == nil
}

// Expire deletes the notes that were written before a time, unread. An output goes with its note:
// it may be older.
func (j *Journal) Expire(before time.Time) error {
	entries, err := os.ReadDir(j.dir.join(j.name))
	for _, entry := range entries {
		id, isNote := strings.CutSuffix(entry.Name(), jsonSuffix)
		if !isNote {
			continue
		}
		if info, unknown := entry.Info(); unknown == nil && info.ModTime().Before(before) {
			err = errors.Join(err, remove(j.dir.join(j.name, id+jsonSuffix)), remove(j.dir.join(j.name, id+outputSuffix)))
		}
	}
	return err
}

// Each calls f with every note. One that can't be read is reported at the end and does not hide the
// others.
func (j *Journal) Each(f func(note []byte) error) error {
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
		data, found, err := j.dir.get(filepath.Join(j.name, entry.Name()), mostNote)
		if found {
			err = f(data)
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("read %s/%s: %w", j.name, entry.Name(), err))
		}
	}
	return failed
}

// removeLone deletes an output whose note was not written any more.
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

// roomBytes are kept for notes of ends on a full disk: those of several predictions, or of one with
// some text.
const roomBytes = 32 << 10

// KeepRoom takes room that Put may use when there is no other, unless the directory has it already.
func (d *Dir) KeepRoom() error {
	if d.room.Load() {
		return nil
	}
	if info, err := os.Lstat(d.join(roomName)); err != nil || info.Size() < roomBytes {
		if err := d.put(roomName, make([]byte, roomBytes)); err != nil {
			return err
		}
	}
	d.room.Store(true)
	return nil
}

// GiveRoom gives back what KeepRoom has taken.
func (d *Dir) GiveRoom() { d.useRoom() }

// useRoom gives the room back, and reports whether there was any.
func (d *Dir) useRoom() bool {
	return d.room.CompareAndSwap(true, false) && remove(d.join(roomName)) == nil
}

// Key reads the key of PutKey.
func (d *Dir) Key() (key []byte, ok bool, err error) { return d.get(keyName, mostMessage) }

// PutKey keeps a key of the server next to its entries, unless there is one.
func (d *Dir) PutKey(key []byte) error {
	if unix.Access(d.join(keyName), unix.F_OK) == nil {
		return nil
	}
	return d.put(keyName, key)
}

// Rest is what a server has left in a directory for the next one.
type Rest struct {
	Unfinished bool // predictions that have not ended
	Owed       bool // webhooks that no receiver has acknowledged
	Results    bool // of predictions that clients may ask for
}

// RestOf looks at a directory that no server uses.
func RestOf(path string) Rest {
	some := func(pattern string) bool {
		found, _ := filepath.Glob(filepath.Join(path, pattern)) // the patterns are valid
		return len(found) > 0
	}
	return Rest{
		Unfinished: some(requestPrefix+"*"+jsonSuffix) || some("*/"+requestPrefix+"*"+jsonSuffix) || some(Queued+"/*"),
		Owed:       some(Outbox + "/*" + jsonSuffix),
		Results:    some(Results + "/*" + jsonSuffix),
	}
}

// KeepOwed removes everything from a directory but webhooks that no receiver has acknowledged, and
// what belongs to them.
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
