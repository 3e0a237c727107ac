// Package watch answers one question: have the files of a model changed? A notification of the
// kernel is only a doorbell: what has changed is found by a look at the files, so nothing is missed
// where notifications merge or get lost, and a file that is saved by a rename is seen like any
// other.
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

// A look comes once nothing has happened for quiet, so that all files of one save or one checkout
// are seen together; longest bounds that for a file that is written all the time.
const (
	quiet   = 200 * time.Millisecond
	longest = 2 * time.Second
)

// Kind is what became of a file.
type Kind int

// The kinds.
const (
	Modified Kind = iota
	Added
	Removed
)

// Change is what became of one file.
type Change struct {
	Path string // below the directory
	Kind Kind
	At   time.Time // when, as the file system has it; of a removed file the time of the look
	Same bool      // it is code, and was written with the contents that it had
}

// Code reports whether it is a file that nobody but the author writes: a module, or the cog.yaml of
// the model.
func (c Change) Code() bool { return isCode(c.Path) }

func isCode(path string) bool { return filepath.Ext(path) == ".py" || path == "cog.yaml" }

// watched are the files that a model may be made of: modules, and what they read at their start.
// Weights are left out, and so is all that a model writes as output.
var watched = []string{".py", ".yaml", ".yml", ".toml", ".json", ".txt"}

// stamp tells one state of a file from another.
type stamp struct {
	modified time.Time
	size     int64
}

// state is what is known of a file.
type state struct {
	stamp
	changed time.Time // modified, or when it came to have its name or its mode, if that was later
	sum     uint64    // of the contents of code
}

// mostSummed is the size of the largest file of code whose contents are compared.
const mostSummed = 1 << 20

// Tree watches a directory and all below it. It belongs to one goroutine.
type Tree struct {
	dir     string
	without []string
	notify  *fsnotify.Watcher
	files   map[string]state
	dirs    map[string]bool
	seed    maphash.Seed
}

// Open begins to watch dir, but not the directories without. The caller must call Close.
func Open(dir string, without ...string) (*Tree, error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, unwatched(dir, err)
	}
	t := &Tree{dir: real(dir), notify: notify, seed: maphash.MakeSeed()} // no walk begins at a symbolic link
	for _, path := range without {
		t.without = append(t.without, real(path))
	}
	if t.files, err = t.read(); err != nil {
		_ = notify.Close()
		return nil, err
	}
	return t, nil
}

// real is where a path leads to.
func real(path string) string {
	if found, err := filepath.EvalSymlinks(path); err == nil {
		return found
	}
	return path
}

// Close ends the watch.
func (t *Tree) Close() { _ = t.notify.Close() } // there is nothing that could be lost

// Run calls changed with what has changed, and failed once for each reason why something can't be
// watched, until stop is closed. While the directory itself is gone it looks whether it has come
// back.
func (t *Tree) Run(stop <-chan struct{}, changed func([]Change), failed func(error)) {
	look := time.NewTimer(longest)
	look.Stop()
	var latest time.Time // when the look must come; zero while none is due
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
		case <-t.notify.Errors: // events were lost, or a directory is gone: a look finds out
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

// concerns reports whether an event may be about a file that counts, or about a directory.
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

// counts goes by the name alone. What begins with a dot is a temporary file of an editor, or
// nobody's code.
func counts(path string) bool {
	return !strings.HasPrefix(filepath.Base(path), ".") && slices.Contains(watched, filepath.Ext(path))
}

// look returns what has changed since the last one. The changes count also when there is an error.
func (t *Tree) look() (changes []Change, err error) {
	now, err := t.read()
	if now == nil {
		return nil, err
	}
	for path, is := range now {
		if was, known := t.files[path]; !known {
			changes = append(changes, Change{Path: path, Kind: Added, At: is.changed})
		} else if was.stamp != is.stamp {
			changes = append(changes, Change{Path: path, Kind: Modified, At: is.changed, Same: is.sum != 0 && was.sum == is.sum})
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

// read returns the state of every file that counts, and watches every directory. One that is
// watched before it is read misses nothing; one that goes away meanwhile is not there. There are no
// files when the directory itself can't be read; with files, the error is of the first directory
// that can't be watched.
func (t *Tree) read() (map[string]state, error) {
	files, dirs := map[string]state{}, map[string]bool{}
	var unseen error
	err := filepath.WalkDir(t.dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil && path == t.dir:
			return err
		case err != nil: // gone meanwhile, or not ours to read
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
		if info, err := os.Stat(path); err == nil && !info.IsDir() { // of a symbolic link what it leads to
			below, _ := filepath.Rel(t.dir, path) // it is below
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

// state reads what is not known yet of a file.
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

// watch lets the kernel notify of a directory. One below the model that nobody may read has no
// code.
func (t *Tree) watch(path string) error {
	err := t.notify.Add(path)
	if _, gone := os.Lstat(path); err == nil || gone != nil || path != t.dir && errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return unwatched(path, err)
}

// unwatched says what helps against the limits of the kernel.
func unwatched(path string, err error) error {
	switch {
	case errors.Is(err, syscall.EMFILE):
		return fmt.Errorf("watch %s: %w; raise fs.inotify.max_user_instances with sysctl, or the limit of open files (ulimit -n)", path, err)
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("watch %s: %w; raise fs.inotify.max_user_watches with sysctl", path, err)
	default:
		return fmt.Errorf("watch %s: %w", path, err)
	}
}

// skips reports whether a directory holds nothing that the author writes.
func (t *Tree) skips(path string) bool {
	name := filepath.Base(path)
	if strings.HasPrefix(name, ".") || name == "__pycache__" || name == "node_modules" || slices.Contains(t.without, path) {
		return true
	}
	_, err := os.Lstat(filepath.Join(path, "pyvenv.cfg")) // a virtual environment
	return err == nil
}
