package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/coggo/coggo/internal/runner/orphan"
	"github.com/coggo/coggo/internal/spool"
)

// workingDir is the directory shared with the runner.
type workingDir struct {
	path    string
	durable bool // chosen by the operator: it stays, and a later server takes up what is in it
	lock    io.Closer
}

// freshPrefix begins the names of directories that belong to one server and go with it.
const freshPrefix = "coggo-"

// minShm is how much room /dev/shm must have: a container's default of 64 MiB is soon full of files.
const minShm = 1 << 30

// openWorkingDir takes path, or a fresh directory when it is empty.
func openWorkingDir(path string) (*workingDir, error) {
	if path != "" {
		lock, err := spool.Lock(path)
		if err != nil {
			return nil, err
		}
		orphan.SweepMarked(orphan.Of(path)) // of a server whose guard was killed too
		return &workingDir{path: path, durable: true, lock: lock}, nil
	}
	base := os.TempDir()
	if roomy("/dev/shm") {
		base = "/dev/shm"
	}
	sweepStale(base)
	var err error
	for range 10 {
		var d *workingDir
		if d, err = freshDir(base); err == nil {
			return d, nil
		}
	}
	return nil, fmt.Errorf("make a working directory: %w; choose one with --working-dir", err)
}

// freshDir makes a directory and takes it. In between, another server that starts at this moment may take it for a stale one
// and sweep it away.
func freshDir(base string) (*workingDir, error) {
	path, err := os.MkdirTemp(base, freshPrefix)
	if err != nil {
		return nil, err
	}
	lock, err := spool.Lock(path)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(path, "lock")); err != nil {
		_ = lock.Close()
		return nil, err
	}
	return &workingDir{path: path, lock: lock}, nil
}

// roomy reports whether dir is writable and has room for files.
func roomy(dir string) bool {
	var fs unix.Statfs_t
	if unix.Access(dir, unix.W_OK) != nil || unix.Statfs(dir, &fs) != nil {
		return false
	}
	return fs.Bavail*uint64(fs.Bsize) >= minShm
}

// sweepStale removes the fresh directories of servers that were killed: nobody holds their locks any more.
func sweepStale(base string) {
	stale, _ := filepath.Glob(filepath.Join(base, freshPrefix+"*")) // the pattern is valid
	for _, dir := range stale {
		if _, err := os.Stat(filepath.Join(dir, "lock")); err != nil {
			continue
		}
		if lock, err := spool.Lock(dir); err == nil {
			orphan.SweepMarked(orphan.Of(dir))
			_ = os.RemoveAll(dir)
			_ = lock.Close()
		}
	}
}

func (d *workingDir) close() {
	if !d.durable {
		_ = os.RemoveAll(d.path)
	}
	_ = d.lock.Close()
}
