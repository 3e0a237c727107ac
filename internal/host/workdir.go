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

// DirConfig says which directory a server uses.
type DirConfig struct {
	Given     string // --working-dir; empty: the server chooses
	Ephemeral bool   // it goes with the server
	ModelDir  string // absolute
	Port      int    // to listen on; 0: any, so the directory is ephemeral
	ModelTemp string // the temporary directory of the model, see ModelTemp
}

// WorkingDir is the directory shared with the runner.
type WorkingDir struct {
	path    string
	kind    dirKind
	private string // must be this user's alone: path, or what it is in; "" if the operator answers for that
	given   string // by --working-dir
	lock    *spool.Lock
	inputs  *WorkingDir // for the files of inputs, see openInputDir; nil for such a directory itself
	closed  sync.Once
}

// dirKind says whose a working directory is, and so what becomes of it.
type dirKind int

const (
	// ephemeral: of one server. It goes with it, or is swept after its death.
	ephemeral dirKind = iota
	// own: of a user's model on a port. It outlives a crash; an orderly end leaves what is still
	// owed.
	own
	// chosen: by --working-dir. It stays.
	chosen
)

// Path returns the path of the directory.
func (d *WorkingDir) Path() string { return d.path }

// Durable reports whether a later server adopts the predictions in the directory.
func (d *WorkingDir) Durable() bool { return d.kind != ephemeral }

const (
	// basePrefix begins the name of the private directory of a user, in which directories of kind
	// own are.
	basePrefix = "coggo-"
	// EphemeralPrefix begins the names of ephemeral directories.
	EphemeralPrefix = "coggo-ephemeral-"
	// ephemeralMark is a file in an ephemeral directory, made after its lock was taken: what has
	// the mark and no owner is left of a server that was killed, and nobody will ask for it. A name
	// alone would not do, since an operator may choose any.
	ephemeralMark = "ephemeral"
)

// sharedMemory is where messages cost the least.
const sharedMemory = "/dev/shm"

// minShm is how much room /dev/shm must have: a container's default of 64 MiB is soon full of
// files.
const minShm = 1 << 30

// OpenWorkingDir takes the directory that c asks for, and makes the one for the files of inputs.
func OpenWorkingDir(c DirConfig, log *slog.Logger) (*WorkingDir, error) {
	d, err := chooseWorkingDir(c, log)
	if err != nil {
		return nil, err
	}
	if d.given != "" {
		c.Given = d.path // and not what others have beside it
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
		log.Warn("an ephemeral working directory is used: what this server has accepted is lost if it is killed", "error", err)
	}
	d, err := makeEphemeral(bases, EphemeralPrefix)
	if err != nil {
		return nil, fmt.Errorf("make a working directory: %w; choose one with --working-dir", err)
	}
	return d, nil
}

// usableBases returns the places for directories that the server chooses, the best first. A small
// /dev/shm comes last but is in the list: a container with a read-only root may have no other.
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

// openOwn takes the directory of this user's model on this port. It prefers one that exists over the
// best place for a new one, because the free space may have differed when that one was made.
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
		if !errors.As(err, new(*fs.PathError)) { // else nothing can be made there
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

// ownName names the directory of a model on a port.
func ownName(modelDir string, port int) string {
	sum := sha256.Sum256([]byte(modelDir))
	return strconv.Itoa(port) + "-" + hex.EncodeToString(sum[:8])
}

// privateBase is the directory of this user in base.
func privateBase(base string) string {
	return filepath.Join(base, basePrefix+strconv.Itoa(os.Geteuid()))
}

// makePrivate makes the directory, or finds it as this user has made it. In a place where everybody
// may write, anybody can have made it before: a link or another's directory, where another could
// read and change what the model is given.
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
		return fmt.Errorf("%s is not a directory of this user alone (mode 0700): it is %s and belongs to %s, so somebody else may have made it; remove it",
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
	if err := os.Remove(filepath.Join(d.path, ephemeralMark)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		_ = lock.Close()
		return fmt.Errorf("keep %s: %w", d.path, err)
	}
	orphan.Sweep(orphan.Of(d.path)) // of a server whose guard was killed too
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
	found, _ := filepath.Glob(filepath.Join(base, prefix+"*")) // an error means that the name of base is odd
	for _, path := range found {
		info, err := os.Lstat(path)
		if err != nil || !info.IsDir() || ownerOf(info) != os.Geteuid() || !Exists(filepath.Join(path, ephemeralMark)) {
			continue
		}
		if lock, err := spool.TakeLeftLock(path); err == nil {
			orphan.Sweep(orphan.Of(path))
			_ = os.RemoveAll(path)
			_ = lock.Close()
		}
	}
}

// End is Close after an orderly shutdown. It keeps only webhooks that are still to be delivered:
// results were not promised for longer.
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

// remove renames the directory to an ephemeral one first. So a server that looks for it finds it
// whole or not at all, and if this server is killed meanwhile, the next one sweeps it.
func (d *WorkingDir) remove() error {
	if err := d.mark(); err != nil {
		return os.RemoveAll(d.path)
	}
	gone, err := os.MkdirTemp(filepath.Dir(filepath.Dir(d.path)), EphemeralPrefix)
	if err != nil {
		return os.RemoveAll(d.path)
	}
	err = unix.Rename(d.path, gone) // in the place of an empty one, which os.Rename refuses
	if err != nil {
		err = os.RemoveAll(d.path)
	}
	return errors.Join(err, os.RemoveAll(gone))
}
