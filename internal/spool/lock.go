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

// Lock keeps other servers away from a directory. It is held in two ways. flock on a file inside
// stops every server that sees the directory, even one in another container. A name outside of the
// file system (see claimName) still holds after a model has removed the directory with that file.
type Lock struct {
	path string
	name func() // frees the name

	mu   sync.Mutex // guards file
	file *os.File
}

// InUseError says that another live server has the directory.
type InUseError struct{ Path string }

func (e *InUseError) Error() string {
	return fmt.Sprintf("working directory %s is in use by another server", e.Path)
}

// TakeLock locks the directory for this process, and makes it if it does not exist. It returns an
// *InUseError if another live server has it.
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

// TakeLeftLock locks a directory that an earlier server left, unless a live server has it. It
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

// Renew makes the directory and locks it again if a model has removed it or the lock file. It
// returns an *InUseError if another server has taken it meanwhile: then this server must not touch
// anything in it.
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

// Close unlocks the directory.
func (l *Lock) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.name()
	return l.file.Close()
}

// lockTries bounds how often lockFile starts again because an ending server removed the file
// between open and flock.
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

// isAt reports whether f is the file at path. A locked file may have been removed.
func isAt(f *os.File, path string) bool {
	held, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(held, there)
}
