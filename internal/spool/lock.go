package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// Lock keeps other servers away from a directory. It is held in two ways: by flock on a file
// inside, which every server that sees the directory respects, also one in another container; and
// by a name outside of the file system (see claimName), because a model can remove the directory
// with the file in it.
type Lock struct {
	path string
	name func() // gives the name back

	mu   sync.Mutex // guards file
	file *os.File
}

// InUseError says that another live server has the directory.
type InUseError struct{ Path string }

func (e *InUseError) Error() string {
	return fmt.Sprintf("working directory %s is in use by another server", e.Path)
}

// TakeLock makes the directory, if need be, and takes it for this process. It returns an
// *InUseError when another live server has it.
func TakeLock(path string) (*Lock, error) {
	path, err := filepath.Abs(path)
	if err == nil {
		err = os.MkdirAll(path, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("lock working directory: %w", err)
	}
	name, free := claimName(path)
	if !free {
		return nil, &InUseError{path}
	}
	file, err := lockFile(path)
	if err != nil {
		name()
		return nil, err
	}
	return &Lock{path: path, name: name, file: file}, nil
}

// TakeLeftLock takes a directory that a server has locked before, only if no live server has it. It
// changes nothing in it.
func TakeLeftLock(path string) (*Lock, error) {
	name, free := claimName(path)
	if !free {
		return nil, &InUseError{path}
	}
	file, err := flock(path, 0)
	if err != nil {
		name()
		return nil, err
	}
	return &Lock{path: path, name: name, file: file}, nil
}

// Renew makes the directory and takes it again if a model has removed it or the file of the
// lock. It returns an *InUseError when another server has taken it meanwhile: nothing in it may be
// touched then.
func (l *Lock) Renew() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if isAt(l.file, filepath.Join(l.path, lockName)) {
		return nil
	}
	if err := os.MkdirAll(l.path, 0o700); err != nil {
		return fmt.Errorf("lock working directory: %w", err)
	}
	file, err := lockFile(l.path)
	if err != nil {
		return err
	}
	_ = l.file.Close()
	l.file = file
	return nil
}

// Close gives the directory back.
func (l *Lock) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.name()
	return l.file.Close()
}

// lockTries bounds how often a file that was removed between open and flock, by a server that ends,
// is opened again.
const lockTries = 10

func lockFile(path string) (file *os.File, err error) {
	for range lockTries {
		if file, err = flock(path, os.O_CREATE); !errors.Is(err, fs.ErrNotExist) {
			return file, err
		}
		if err := os.MkdirAll(path, 0o700); err != nil {
			return nil, fmt.Errorf("lock working directory: %w", err)
		}
	}
	return nil, err
}

func flock(path string, create int) (*os.File, error) {
	at := filepath.Join(path, lockName)
	f, err := os.OpenFile(at, os.O_RDWR|create|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock working directory: %w", err)
	}
	err = retry(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	switch {
	case err == unix.EWOULDBLOCK:
		err = &InUseError{path}
	case err != nil:
		err = fmt.Errorf("lock working directory: %w", err)
	case !isAt(f, at):
		err = fmt.Errorf("lock working directory: %w", fs.ErrNotExist)
	default:
		return f, nil
	}
	_ = f.Close()
	return nil, err
}

// isAt reports whether f is the file at path: what is locked may have been removed.
func isAt(f *os.File, path string) bool {
	held, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(held, there)
}
