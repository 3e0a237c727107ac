// Package watch reports changes of a model's files. A notification of the kernel only triggers a
// look at all files, so nothing is missed if notifications merge or get lost, and a file that is
// saved by a rename is seen like any other.
package watch

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

// A look comes once nothing has happened for quiet, so that it sees all files of one save or one
// checkout together. longest bounds the wait if a file is written all the time.
const (
	quiet   = 200 * time.Millisecond
	longest = 2 * time.Second
)

// Kind is the kind of a Change.
type Kind int

// The kinds.
const (
	Modified Kind = iota
	Added
	Removed
)

// Change is the change of one file.
type Change struct {
	Path string // relative to the directory
	Kind Kind
	At   time.Time // when, by the file system; for a removed file, the time of the look
	Same bool      // it is code, and was written with the same contents
}

// Code reports whether only the author writes the file: a module, or the model's cog.yaml.
func (c Change) Code() bool { return isCode(c.Path) }

func isCode(path string) bool { return filepath.Ext(path) == ".py" || path == "cog.yaml" }

// watched are the extensions of files that a model may consist of: modules, and files that they
// read when they start. Weights are left out, and so is output of the model.
var watched = []string{".py", ".yaml", ".yml", ".toml", ".json", ".txt"}

// stamp is equal for two looks at an unchanged file.
type stamp struct {
	modified time.Time
	size     int64
}

// state is the known state of a file.
type state struct {
	stamp
	changed time.Time // when it got its contents, its name or its mode, whichever was last
	sum     uint64    // of the contents, if it is code
}

// mostSummed is the size of the largest code file whose contents are compared.
const mostSummed = 1 << 20

// Tree watches a directory and everything below it. It belongs to one goroutine.
type Tree struct {
	dir     string
	without []string
	notify  *fsnotify.Watcher
	files   map[string]state
	dirs    map[string]bool
	seed    maphash.Seed
}

// Open starts to watch dir, except for the directories without. The caller must call Close.
func Open(dir string, without ...string) (*Tree, error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, unwatched(dir, err)
	}
	// A walk does not start at a symbolic link.
	t := &Tree{dir: real(dir), notify: notify, seed: maphash.MakeSeed()}
	for _, path := range without {
		t.without = append(t.without, real(path))
	}
	if t.files, err = t.read(); err != nil {
		_ = notify.Close()
		return nil, err
	}
	return t, nil
}

// real resolves the symbolic links in a path.
func real(path string) string {
	if found, err := filepath.EvalSymlinks(path); err == nil {
		return found
	}
	return path
}

// Close ends the watch.
func (t *Tree) Close() { _ = t.notify.Close() } // nothing can be lost

// Run calls changed with the changes, and failed once for each reason why something can't be
// watched, until stop is closed. While the directory itself is gone, it checks whether it has come
// back.
func (t *Tree) Run(stop <-chan struct{}, changed func([]Change), failed func(error)) {
	look := time.NewTimer(longest)
	look.Stop()
	var latest time.Time // when the look is due at the latest; zero while none is due
	told := ""
	for {
		select {
		case event := <-t.notify.Events:
			if !t.concerns(event) {
				continue
			}
			if latest.IsZero() {
				latest = time.Now().Add(longest)
			}
			look.Reset(min(quiet, time.Until(latest)))
		case <-t.notify.Errors: // events were lost, or a directory is gone: a look shows it
			look.Reset(quiet)
		case <-look.C:
			latest = time.Time{}
			changes, err := t.look()
			if errors.Is(err, fs.ErrNotExist) {
				look.Reset(longest) // no event tells of a new directory
			}
			if reason := fmt.Sprint(err); reason != told {
				told = reason
				if err != nil {
					failed(err)
				}
			}
			if len(changes) > 0 {
				changed(changes)
			}
		case <-stop:
			return
		}
	}
}

// concerns reports whether an event may be about a watched file or a directory.
func (t *Tree) concerns(event fsnotify.Event) bool {
	if counts(event.Name) || t.dirs[event.Name] {
		return true
	}
	if !event.Has(fsnotify.Create) {
		return false
	}
	info, err := os.Lstat(event.Name)
	return err == nil && info.IsDir()
}

// counts decides by the name alone. A name that begins with a dot is a temporary file of an editor,
// or not code.
func counts(path string) bool {
	name := filepath.Base(path)
	return !strings.HasPrefix(name, ".") && slices.Contains(watched, filepath.Ext(path))
}

// look returns the changes since the last look, even with an error.
func (t *Tree) look() (changes []Change, err error) {
	now, err := t.read()
	if now == nil {
		return nil, err
	}
	for path, is := range now {
		if was, known := t.files[path]; !known {
			changes = append(changes, Change{Path: path, Kind: Added, At: is.changed})
		} else if was.stamp != is.stamp {
			same := is.sum != 0 && was.sum == is.sum
			changes = append(changes,
				Change{Path: path, Kind: Modified, At: is.changed, Same: same})
		}
	}
	for path := range t.files {
		if _, there := now[path]; !there {
			changes = append(changes, Change{Path: path, Kind: Removed, At: time.Now()})
		}
	}
	t.files = now
	slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return changes, err
}

// read returns the state of every watched file, and watches every directory. It watches a directory
// before it reads it, so that it misses nothing. A directory that disappears meanwhile is left out.
// If the directory itself can't be read, there are no files. If there are files, the error is about
// the first directory that can't be watched.
func (t *Tree) read() (map[string]state, error) {
	files, dirs := map[string]state{}, map[string]bool{}
	var unseen error
	err := filepath.WalkDir(t.dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil && path == t.dir:
			return err
		case err != nil: // it is gone, or we may not read it
			return nil
		case entry.IsDir():
			if path != t.dir && t.skips(path) {
				return fs.SkipDir
			}
			dirs[path] = true
			unseen = cmp.Or(unseen, t.watch(path))
			return nil
		case !counts(path):
			return nil
		}
		// Of a symbolic link, its target counts.
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			below, _ := filepath.Rel(t.dir, path) // path is below t.dir
			files[below] = t.state(path, below, info)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	t.dirs = dirs
	return files, unseen
}

// state reads the parts of a file's state that have changed.
func (t *Tree) state(path, below string, info fs.FileInfo) state {
	is := state{stamp: stamp{info.ModTime(), info.Size()}, changed: info.ModTime()}
	if at := changedAt(info); at.After(is.changed) {
		is.changed = at
	}
	switch was := t.files[below]; {
	case was.stamp == is.stamp:
		is.sum = was.sum
	case isCode(below) && info.Mode().IsRegular() && is.size <= mostSummed:
		if text, err := os.ReadFile(path); err == nil {
			is.sum = maphash.Bytes(t.seed, text)
		}
	}
	return is
}

// watch asks the kernel for notifications of a directory. It ignores a directory below the model
// that cannot be read: it has no code.
func (t *Tree) watch(path string) error {
	err := t.notify.Add(path)
	_, gone := os.Lstat(path)
	unreadable := path != t.dir && errors.Is(err, fs.ErrPermission)
	if err == nil || gone != nil || unreadable {
		return nil
	}
	return unwatched(path, err)
}

// unwatched adds a remedy against the limits of the kernel.
func unwatched(path string, err error) error {
	switch {
	case errors.Is(err, syscall.EMFILE):
		return fmt.Errorf("watch %s: %w; raise fs.inotify.max_user_instances with sysctl, "+
			"or the limit of open files (ulimit -n)", path, err)
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("watch %s: %w; raise fs.inotify.max_user_watches with sysctl", path, err)
	default:
		return fmt.Errorf("watch %s: %w", path, err)
	}
}

// skips reports whether a directory has no files of the author.
func (t *Tree) skips(path string) bool {
	name := filepath.Base(path)
	if strings.HasPrefix(name, ".") || name == "__pycache__" || name == "node_modules" ||
		slices.Contains(t.without, path) {
		return true
	}
	_, err := os.Lstat(filepath.Join(path, "pyvenv.cfg")) // of a virtual environment
	return err == nil
}
