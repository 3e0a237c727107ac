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

// The largest sizes of files, in bytes. A model can write anything in the place of each.
const (
	// From the runner: openapi.json, setup-result.json, response-{id}.json, health/response.json.
	mostMessage = 64 << 20
	// From the server itself: a request, an entry of a journal.
	mostEntry = 4 << 30
)

// maxOutput is the largest size of an output.
func (d *Dir) maxOutput() int64 {
	if d.MaxOutput == 0 {
		return mostEntry
	}
	return min(d.MaxOutput, mostEntry)
}

// mostLine is the largest size of an event: an output or a message.
func (d *Dir) mostLine() int64 { return d.maxOutput() + mostMessage }

// Dir is the directory that one runner shares with the server. Any goroutine may call its methods.
type Dir struct {
	// Bytes of an output that the runner hands over in a file of its own; 0: as large as an entry.
	MaxOutput int64

	path string
	// Returns a descriptor of the directory, -1 if there is none. It stays open until the process
	// ends.
	self func() int

	// By FileID, descriptors of large requests: their memory is freed with the descriptor, not with
	// the name.
	held    sync.Map
	closing sync.RWMutex // held for reading while such a descriptor is closed

	room atomic.Bool // there is space for useRoom to free
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

// make makes missing directories, but nothing above the working directory: the rights there are not
// for this package to judge.
func (d *Dir) make() error {
	for _, sub := range []string{"", tmpDir, outputsDir, healthDir} {
		if err := os.Mkdir(d.join(sub), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return os.Chmod(d.path, 0o700)
}

// Path returns the absolute path of the directory.
func (d *Dir) Path() string { return d.path }

// FileID returns the form of an id in file names. A harmless id stands for itself. Any other id is
// represented by its hash, because it may have separators, NUL or 512 bytes.
func FileID(id string) string {
	if harmless(id) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "~" + hex.EncodeToString(sum[:])
}

// harmless reports whether s matches [A-Za-z0-9][A-Za-z0-9._-]{0,127}.
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

// Listing has the names in the directory, by FileID.
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

// cut returns the id in a name.
func cut[T string | []byte](name T, prefix, suffix string) (id T, ok bool) {
	n := len(name) - len(suffix)
	if n < len(prefix) || string(name[:len(prefix)]) != prefix || string(name[n:]) != suffix {
		return id, false
	}
	return name[len(prefix):n], true
}

// Remove deletes every file of a finished prediction. It deletes the request first, so that a
// runner that lists the directory meanwhile never takes it for a new one. With plain, only request
// and response exist, which saves five system calls.
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

// Withdraw deletes the request of a prediction that has finished although its runner is still
// running it.
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

// awaitClosing returns once no memory of a removed request is being freed.
func (d *Dir) awaitClosing() {
	d.closing.Lock()
	defer d.closing.Unlock()
}

// hold keeps the memory of a file until Withdraw has removed the file and nobody waits any more,
// because to free 16 MiB takes 2 ms.
func (d *Dir) hold(fid string) {
	if fd, _, _ := d.openFile(requestPrefix + fid + jsonSuffix); fd >= 0 {
		d.held.Store(fid, fd)
	}
}

// Clear removes the files of an earlier runner before another one starts on the directory. At that
// time no runner has a prediction. It also restores directories that a model has removed.
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
	// The runner may have been killed while it wrote a response.
	half, bad := filepath.Glob(d.join(tmpDir, responsePrefix+"*"))
	for _, path := range half {
		bad = errors.Join(bad, remove(path))
	}
	return errors.Join(err, bad, d.emptySub(outputsDir), d.emptySub(healthDir))
}

// ofRunner reports whether a file belongs to one run of a runner.
func ofRunner(name string) bool {
	prefixes := []string{requestPrefix, responsePrefix, cancelPrefix, eventsPrefix, recordPrefix}
	for _, prefix := range prefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	switch name {
	case schemaName, setupResultName, stopName, reserveName, logsName, logsName + stderrSuffix:
		return true
	default:
		return false
	}
}

// MakeLogs makes the pipe for a stream of a prediction that runs alone, and opens it for reading
// without blocking. It replaces the last pipe of that stream. If there is no pipe for standard
// error, that of standard output is for both.
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

// Probe reports why size bytes can't be written to the directory, nil if they can.
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

// Outputs returns the directory where the runner puts the output files of a prediction.
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
