package host

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/coggo/coggo/internal/runner/orphan"
	"github.com/coggo/coggo/internal/spool"
)

// DirConfig selects the directory that a server uses.
type DirConfig struct {
	Given     string // --working-dir; "": the server chooses
	Ephemeral bool   // remove it with the server
	ModelDir  string // absolute
	Port      int    // to listen on; 0: any port, so the directory is ephemeral
	ModelTemp string // of the model, see ModelTemp
}

// WorkingDir is the directory shared with the runner.
type WorkingDir struct {
	path string
	kind dirKind
	// Must belong to this user alone: path, or its parent; "" if the operator is responsible.
	private string
	given   string // it is that of --working-dir
	lock    *spool.Lock
	// For input files, see openInputDir; nil for such a directory itself.
	inputs *WorkingDir
	closed sync.Once
}

// dirKind says how long a working directory lives.
type dirKind int

const (
	// ephemeral: it belongs to one server. It is removed with the server, or swept after a kill.
	ephemeral dirKind = iota
	// own: it belongs to a user's model on a port. It outlives a crash. An orderly shutdown leaves
	// undelivered webhooks.
	own
	// chosen: it was chosen with --working-dir. It stays.
	chosen
)

// Path returns the path of the directory.
func (d *WorkingDir) Path() string { return d.path }

// Durable reports whether a later server adopts the predictions in the directory.
func (d *WorkingDir) Durable() bool { return d.kind != ephemeral }

const (
	// basePrefix begins the name of the private directory of a user, which has the directories of
	// kind own.
	basePrefix = "coggo-"
	// EphemeralPrefix begins the names of ephemeral directories.
	EphemeralPrefix = "coggo-ephemeral-"
	// ephemeralMark is a file in an ephemeral directory, made after its lock was taken. A directory
	// with the mark and without an owner was left by a killed server, and nobody will ask for it. A
	// name alone would not do, because an operator may choose any.
	ephemeralMark = "ephemeral"
)

// sharedMemory is the place where messages cost the least.
const sharedMemory = "/dev/shm"

// minShm is the size that /dev/shm must have: files would soon fill a container's default of 64
// MiB.
const minShm = 1 << 30

// OpenWorkingDir takes the directory that c asks for, and makes the one for input files.
func OpenWorkingDir(c DirConfig, log *slog.Logger) (*WorkingDir, error) {
	d, err := chooseWorkingDir(c, log)
	if err != nil {
		return nil, err
	}
	if d.given != "" {
		c.Given = d.path // not the directory of others above it
	}
	if d.inputs, err = openInputDir(c); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func chooseWorkingDir(c DirConfig, log *slog.Logger) (*WorkingDir, error) {
	if c.Given != "" {
		return takeGiven(c.Given)
	}
	bases := usableBases()
	sweepEphemeral(bases[0], EphemeralPrefix)
	if !c.Ephemeral && c.Port != 0 {
		d, err := openOwn(bases, c)
		if err == nil {
			return d, nil
		}
		log.Warn("an ephemeral working directory is used: "+
			"what this server has accepted is lost if it is killed", "error", err)
	}
	d, err := makeEphemeral(bases, EphemeralPrefix)
	if err != nil {
		return nil, fmt.Errorf("make a working directory: %w; choose one with --working-dir", err)
	}
	return d, nil
}

// usableBases returns the places for directories that the server chooses, the best first. A small
// /dev/shm is last in the list: a container with a read-only root may have no other place.
func usableBases() []string {
	bases := []string{os.TempDir()}
	var stat unix.Statfs_t
	if unix.Access(sharedMemory, unix.W_OK) == nil && unix.Statfs(sharedMemory, &stat) == nil {
		bases = append(bases, sharedMemory)
		if stat.Bavail*uint64(stat.Bsize) >= minShm {
			slices.Reverse(bases)
		}
	}
	return slices.Compact(bases)
}

// openOwn takes the directory of this user's model on this port. It prefers one that exists to the
// best place for a new one, because the free space may have been different when that one was made.
func openOwn(bases []string, c DirConfig) (d *WorkingDir, err error) {
	name := ownName(c.ModelDir, c.Port)
	in := func(base string) string { return filepath.Join(privateBase(base), name) }
	for _, base := range bases {
		if checkPrivate(privateBase(base)) == nil && Exists(in(base)) {
			return takeOwn(in(base))
		}
	}
	for _, base := range bases {
		d, err = takeOwn(in(base))
		if !errors.As(err, new(*fs.PathError)) { // otherwise nothing can be made there
			return d, err
		}
	}
	return nil, err
}

func takeOwn(path string) (*WorkingDir, error) {
	if err := makePrivate(filepath.Dir(path)); err != nil {
		return nil, err
	}
	d := &WorkingDir{path: path, kind: own, private: filepath.Dir(path)}
	if err := d.take(); err != nil {
		return nil, err
	}
	return d, nil
}

// ownName returns the name of the directory of a model on a port.
func ownName(modelDir string, port int) string {
	sum := sha256.Sum256([]byte(modelDir))
	return strconv.Itoa(port) + "-" + hex.EncodeToString(sum[:8])
}

// privateBase returns the directory of this user in base.
func privateBase(base string) string {
	return filepath.Join(base, basePrefix+strconv.Itoa(os.Geteuid()))
}

// makePrivate makes the directory, or finds it as this user has made it. In a place where everybody
// may write, somebody else can have made it before: as a link, or as a directory in which another
// user could read and change the model's inputs.
func makePrivate(path string) error {
	if err := os.Mkdir(path, 0o700); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return checkPrivate(path)
}

func checkPrivate(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() || ownerOf(info) != os.Geteuid() || info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s is not a directory of this user alone (mode 0700): "+
			"it is %s and belongs to %s, so somebody else may have made it; remove it",
			path, info.Mode(), userName(ownerOf(info)))
	}
	return nil
}

// take takes a durable directory.
func (d *WorkingDir) take() error {
	lock, err := spool.TakeLock(d.path)
	if err != nil {
		return err
	}
	err = os.Remove(filepath.Join(d.path, ephemeralMark))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		_ = lock.Close()
		return fmt.Errorf("keep %s: %w", d.path, err)
	}
	orphan.Sweep(orphan.Of(d.path)) // those of a server whose guard was killed too
	d.lock = lock
	return nil
}

// makeEphemeral makes a directory in the first place where that works.
func makeEphemeral(bases []string, prefix string) (*WorkingDir, error) {
	var failed error
	for _, base := range bases {
		d, err := makeEphemeralIn(base, prefix)
		if err == nil {
			return d, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}

func makeEphemeralIn(base, prefix string) (*WorkingDir, error) {
	path, err := os.MkdirTemp(base, prefix)
	if err != nil {
		return nil, err
	}
	lock, err := spool.TakeLock(path)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(path))
	}
	d := &WorkingDir{path: path, kind: ephemeral, private: path, lock: lock}
	if err := d.mark(); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// mark lets others sweep the directory once this server is gone.
func (d *WorkingDir) mark() error {
	return os.WriteFile(filepath.Join(d.path, ephemeralMark), nil, 0o600)
}

// Renew creates the directory again if a model has removed it. It returns an error if the directory
// must not be used any more.
func (d *WorkingDir) Renew() error {
	if d.kind == ephemeral {
		if err := os.MkdirAll(filepath.Dir(d.path), 0o700); err != nil {
			return err
		}
	}
	if d.private != "" {
		if err := makePrivate(d.private); err != nil {
			return err
		}
	}
	if err := d.lock.Renew(); err != nil {
		return err
	}
	if d.kind == ephemeral && !Exists(filepath.Join(d.path, ephemeralMark)) {
		return d.mark()
	}
	return nil
}

// InputDir returns the directory for input files, and creates it again if a model has removed it.
func (d *WorkingDir) InputDir() (string, error) { return d.inputs.path, d.inputs.Renew() }

// sweepEphemeral removes the ephemeral directories of this user's servers that were killed: nobody
// holds their locks any more.
func sweepEphemeral(base, prefix string) {
	// An error means that the name of base is odd.
	found, _ := filepath.Glob(filepath.Join(base, prefix+"*"))
	for _, path := range found {
		info, err := os.Lstat(path)
		ours := err == nil && info.IsDir() && ownerOf(info) == os.Geteuid()
		if !ours || !Exists(filepath.Join(path, ephemeralMark)) {
			continue
		}
		if lock, err := spool.TakeLeftLock(path); err == nil {
			orphan.Sweep(orphan.Of(path))
			_ = os.RemoveAll(path)
			_ = lock.Close()
		}
	}
}

// End is Close after an orderly shutdown. It keeps only undelivered webhooks, because results were
// not promised for longer.
func (d *WorkingDir) End() { d.closeWith(false) }

// Close releases the directory. Later calls do nothing.
func (d *WorkingDir) Close() { d.closeWith(true) }

func (d *WorkingDir) closeWith(results bool) {
	d.closed.Do(func() {
		defer d.lock.Close()
		if d.inputs != nil {
			d.inputs.Close()
		}
		switch rest := spool.RestOf(d.path); {
		case d.kind == ephemeral:
			_ = os.RemoveAll(d.path)
		case d.kind == chosen, rest.Unfinished, rest.Results && results:
		case rest.Owed:
			_ = spool.KeepOwed(d.path)
		default:
			_ = d.remove()
		}
	})
}

// remove first renames the directory to an ephemeral one. So a server that looks for it finds it
// whole or not at all, and if this server is killed meanwhile, the next one sweeps it.
func (d *WorkingDir) remove() error {
	if err := d.mark(); err != nil {
		return os.RemoveAll(d.path)
	}
	gone, err := os.MkdirTemp(filepath.Dir(filepath.Dir(d.path)), EphemeralPrefix)
	if err != nil {
		return os.RemoveAll(d.path)
	}
	err = unix.Rename(d.path, gone) // it replaces an empty directory, which os.Rename refuses
	if err != nil {
		err = os.RemoveAll(d.path)
	}
	return errors.Join(err, os.RemoveAll(gone))
}
