// Package spool is the Go half of the file protocol between the server and the runner, which
// docs/protocol.md specifies. No other Go code spells the name of a protocol file.
package spool

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	schemaName      = "openapi.json"
	setupResultName = "setup-result.json"
	stopName        = "stop"
	reserveName     = "reserve"
	lockName        = "lock"
	logsName        = "logs"
	stderrSuffix    = "-stderr"
	keyName         = "key"
	roomName        = "reserve-server"
	requestPrefix   = "request-"
	responsePrefix  = "response-"
	cancelPrefix    = "cancel-"
	eventsPrefix    = "events-"
	recordPrefix    = "logs-"
	jsonSuffix      = ".json"
	linesSuffix     = ".jsonl"
	textSuffix      = ".txt"
	tmpDir          = ".tmp"
	outputsDir      = "outputs"
	healthDir       = "health"
)

// What a file may have, in bytes. A model can write whatever it likes in the place of each.
const (
	mostMessage = 64 << 20 // that the runner writes: openapi.json, setup-result.json, response-{id}.json, health/response.json
	mostNote    = 4 << 30  // that the server itself has written: a request, a note of a journal
)

// maxOutput is what an output may have.
func (d *Dir) maxOutput() int64 {
	if d.MaxOutput == 0 {
		return mostNote
	}
	return min(d.MaxOutput, mostNote)
}

// mostLine is what an event may have: an output or a message.
func (d *Dir) mostLine() int64 { return d.maxOutput() + mostMessage }

// Dir is the directory that one runner shares with the server. Its methods may be called from any
// goroutine.
type Dir struct {
	MaxOutput int64 // bytes of an output that the runner hands over in a file of its own; 0: as many as a note may have

	path string
	self func() int // a descriptor of the directory, -1 if there is none; for as long as the process lives

	held    sync.Map     // by FileID, descriptors of large requests: their memory goes with the descriptor and not with the name
	closing sync.RWMutex // held for reading while such a descriptor is being closed

	room atomic.Bool // there is something for useRoom to give back
}

// Open makes the directory and its subdirectories, all with mode 0700.
func Open(path string) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	d := &Dir{path: path}
	d.self = sync.OnceValue(func() int {
		fd, err := open(path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err != nil {
			return -1
		}
		return fd
	})
	if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
		err = d.make()
	}
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	return d, nil
}

// make makes what is missing, but nothing above the directory: who may write there is not for this
// package to judge.
func (d *Dir) make() error {
	for _, sub := range []string{"", tmpDir, outputsDir, healthDir} {
		if err := os.Mkdir(d.join(sub), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return os.Chmod(d.path, 0o700)
}

// Path is the absolute path of the directory.
func (d *Dir) Path() string { return d.path }

// FileID is the form of an id inside file names. An id of the harmless shape stands for itself; any
// other text, which may hold separators, NUL or 512 bytes, is represented by its hash.
func FileID(id string) string {
	if harmless(id) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "~" + hex.EncodeToString(sum[:])
}

// harmless is the regular expression [A-Za-z0-9][A-Za-z0-9._-]{0,127}.
func harmless(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alnum && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return true
}

// Listing is what one look at the directory shows, by FileID.
type Listing struct {
	Responses map[string]bool
	Events    map[string]bool
	Requests  []string
}

// List reads the names in the directory once.
func (d *Dir) List() (Listing, error) {
	names, err := d.names()
	if err != nil {
		return Listing{}, err
	}
	l := Listing{Responses: map[string]bool{}, Events: map[string]bool{}}
	for _, name := range names {
		if id, ok := cut(name, responsePrefix, jsonSuffix); ok {
			l.Responses[id] = true
		} else if id, ok := cut(name, eventsPrefix, linesSuffix); ok {
			l.Events[id] = true
		} else if id, ok := cut(name, requestPrefix, jsonSuffix); ok {
			l.Requests = append(l.Requests, id)
		}
	}
	return l, nil
}

func cut(name, prefix, suffix string) (string, bool) {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(rest, suffix)
}

// Remove deletes every file of a finished prediction: the request first, so that a runner which
// lists the directory meanwhile never takes it for a new one. With plain there are no others than
// request and response, which saves five system calls.
func (d *Dir) Remove(id string, plain bool) error {
	fid := FileID(id)
	err := errors.Join(
		d.Withdraw(id),
		remove(d.join(responsePrefix+fid+jsonSuffix)),
	)
	if plain {
		return err
	}
	return errors.Join(err,
		remove(d.join(eventsPrefix+fid+linesSuffix)),
		remove(d.join(cancelPrefix+fid+jsonSuffix)),
		remove(d.join(recordName(id))),
		removeTree(d.Outputs(id)),
	)
}

// Withdraw deletes the request of a prediction that has finished although its runner still runs it.
func (d *Dir) Withdraw(id string) error {
	fid := FileID(id)
	err := remove(d.join(requestPrefix + fid + jsonSuffix))
	if fd, ok := d.held.LoadAndDelete(fid); ok {
		d.closing.RLock()
		go func() {
			defer d.closing.RUnlock()
			_ = unix.Close(fd.(int))
		}()
	}
	return err
}

// awaitClosing returns when no memory of a removed request is about to be given back.
func (d *Dir) awaitClosing() {
	d.closing.Lock()
	defer d.closing.Unlock()
}

// hold keeps the memory of a file until Withdraw has removed it and nobody waits any more: to give
// back 16 MiB takes 2 ms.
func (d *Dir) hold(fid string) {
	if fd, _, _ := d.openFile(requestPrefix + fid + jsonSuffix); fd >= 0 {
		d.held.Store(fid, fd)
	}
}

// Clear removes what an earlier runner left, before another one starts on the directory. No runner
// has a prediction then. It also restores the parts of the directory that a model has removed.
func (d *Dir) Clear() error {
	if err := d.make(); err != nil {
		return err
	}
	names, err := d.names()
	for _, name := range names {
		if ofRunner(name) {
			err = errors.Join(err, remove(d.join(name)))
		}
	}
	half, bad := filepath.Glob(d.join(tmpDir, responsePrefix+"*")) // it may have been killed in the middle of one
	for _, path := range half {
		bad = errors.Join(bad, remove(path))
	}
	return errors.Join(err, bad, d.emptySub(outputsDir), d.emptySub(healthDir))
}

// ofRunner reports whether a file concerns one run of a runner.
func ofRunner(name string) bool {
	for _, prefix := range []string{requestPrefix, responsePrefix, cancelPrefix, eventsPrefix, recordPrefix} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return name == schemaName || name == setupResultName || name == stopName || name == reserveName || name == logsName || name == logsName+stderrSuffix
}

// MakeLogs makes the pipe for what a prediction that runs alone writes to a stream, in the place of
// the one before, and opens it for reading without blocking. That of standard output is for both
// where there is no other.
func (d *Dir) MakeLogs(stream string) (fd int, err error) {
	path := d.join(logsName)
	if stream == "stderr" {
		path += stderrSuffix
	}
	if err := remove(path); err != nil {
		return -1, err
	}
	if err := retry(func() error { return unix.Mkfifo(path, 0o600) }); err != nil {
		return -1, &fs.PathError{Op: "make pipe", Path: path, Err: err}
	}
	if fd, err = open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0); err != nil {
		return -1, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// Probe reports why size bytes can't be written to the directory, nil when they can.
func (d *Dir) Probe(size int) error {
	path := d.join(tmpDir, "probe")
	err := write(path, bytesOf(make([]byte, size)))
	return errors.Join(err, remove(path))
}

// Empty removes everything but the journals, before anything runs.
func (d *Dir) Empty() error { return errors.Join(d.Clear(), d.emptySub(tmpDir)) }

func (d *Dir) emptySub(name string) error {
	entries, err := os.ReadDir(d.join(name))
	for _, entry := range entries {
		err = errors.Join(err, os.RemoveAll(d.join(name, entry.Name())))
	}
	return err
}

// Outputs is the directory where the runner puts contents of a prediction's outputs.
func (d *Dir) Outputs(id string) string { return d.join(outputsDir, FileID(id)) }

// Abs resolves a path of a file table.
func (d *Dir) Abs(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(d.path, path)
}

func (d *Dir) getJSON(name string, most int64, v any) (bool, error) {
	data, ok, err := d.get(name, most)
	if !ok || err != nil {
		return false, err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return false, fmt.Errorf("read %s: %w", name, err)
	}
	return true, nil
}
