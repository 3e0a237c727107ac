package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// The functions here make system calls themselves. Package os offers each file to the poller first.
// For a regular file that costs five system calls for nothing, and a prediction opens three files.

// put writes a file of these parts. Readers see it complete or not at all.
func (d *Dir) put(name string, parts ...[]byte) error {
	return d.place(name, bytesOf(parts...))
}

// bytesOf returns a function that writes these parts to a file.
func bytesOf(parts ...[]byte) func(fd int) error {
	return func(fd int) error {
		for _, part := range parts {
			if _, err := fdWriter(fd).Write(part); err != nil {
				return err
			}
		}
		return nil
	}
}

// place is put with a function that writes to the descriptor. If the disk is full, it tries once
// more after awaitClosing.
func (d *Dir) place(name string, fill func(fd int) error) (err error) {
	tmp := d.join(tmpDir, strings.ReplaceAll(name, "/", "-"))
	defer func() {
		if err != nil {
			_ = unix.Unlink(tmp)
		}
	}()
	err = write(tmp, fill)
	if full(err) {
		d.awaitClosing() // this may free space
		err = write(tmp, fill)
	}
	if err != nil {
		return &fs.PathError{Op: "write", Path: tmp, Err: err}
	}
	err = rename(tmp, d.join(name))
	if err == unix.EISDIR && removeTree(d.join(name)) == nil {
		err = rename(tmp, d.join(name))
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: tmp, New: d.join(name), Err: err}
	}
	return nil
}

// full reports whether err means that the disk is full.
func full(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

func rename(from, to string) error { return retry(func() error { return unix.Rename(from, to) }) }

// write creates a file and writes to it. It never writes to something that a model has put there,
// such as a pipe without a reader.
func write(path string, fill func(fd int) error) error {
	const fresh = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL
	fd, err := open(path, fresh, 0o600)
	if err == unix.EEXIST {
		if err := remove(path); err != nil {
			return err
		}
		fd, err = open(path, fresh, 0o600)
	}
	if err != nil {
		return err
	}
	return errors.Join(fill(fd), unix.Close(fd))
}

type fdWriter int

func (w fdWriter) Write(p []byte) (written int, err error) {
	for written < len(p) && err == nil {
		var n int
		n, err = unix.Write(int(w), p[written:])
		if err == unix.EINTR {
			err = nil
		}
		written += max(0, n)
	}
	return written, err
}

// OddError says that something is in the place of a message that is not a file of a reasonable
// size. A model can do that, and waiting does not help.
type OddError struct {
	Name  string // of the file
	What  string // a description of it, after "is"
	Large bool   // it is a file, but too large
}

func (e *OddError) Error() string { return e.Name + " is " + e.What }

// get reads a file of at most most bytes. It reports false if there is none yet. Anything but a
// regular file is an OddError.
func (d *Dir) get(name string, most int64) ([]byte, bool, error) {
	fd, size, err := d.openFile(name)
	if fd < 0 {
		return nil, false, err
	}
	defer unix.Close(fd)
	if size > most {
		return nil, false, tooLarge(name, size, most)
	}
	data, err := readAll(fd, int(size))
	if err != nil {
		return nil, false, &fs.PathError{Op: "read", Path: d.join(name), Err: err}
	}
	return data, true, nil
}

func tooLarge(name string, size, most int64) error {
	text := fmt.Sprintf("%d bytes long, more than the limit of %d", size, most)
	return &OddError{name, text, true}
}

// openFile opens a regular file for reading, without waiting. The descriptor is -1 if there is no
// file, or with an error.
func (d *Dir) openFile(name string) (fd int, size int64, err error) {
	path := d.join(name)
	switch fd, err = open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0); err {
	case nil:
	case unix.ENOENT:
		return -1, 0, nil
	case unix.ELOOP:
		return -1, 0, &OddError{name, "a symbolic link, not a regular file", false}
	case unix.ENXIO:
		return -1, 0, &OddError{name, "a socket or a device, not a regular file", false}
	default:
		return -1, 0, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	var stat unix.Stat_t
	if err = retry(func() error { return unix.Fstat(fd, &stat) }); err != nil {
		err = &fs.PathError{Op: "stat", Path: path, Err: err}
	} else if kind, odd := oddKinds[uint32(stat.Mode)&unix.S_IFMT]; odd {
		err = &OddError{name, kind + ", not a regular file", false}
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, 0, err
	}
	return fd, stat.Size, nil
}

var oddKinds = map[uint32]string{
	unix.S_IFIFO:  "a named pipe",
	unix.S_IFDIR:  "a directory",
	unix.S_IFCHR:  "a device",
	unix.S_IFBLK:  "a device",
	unix.S_IFSOCK: "a socket",
}

// readAll reads a file of size bytes.
func readAll(fd, size int) ([]byte, error) {
	buf := make([]byte, size)
	for n := 0; n < size; {
		more, err := read(fd, buf[n:])
		if err != nil {
			return nil, err
		}
		if more == 0 {
			return buf[:n], nil // the file has shrunk
		}
		n += more
	}
	return buf, nil
}

func read(fd int, buf []byte) (n int, err error) {
	err = retry(func() error {
		n, err = unix.Read(fd, buf)
		return err
	})
	return max(n, 0), err
}

// names lists the directory.
func (d *Dir) names() ([]string, error) {
	fd, err := open(d.path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: d.path, Err: err}
	}
	defer unix.Close(fd)
	var names []string
	buf := make([]byte, 8<<10)
	for {
		n, err := unix.ReadDirent(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, &fs.PathError{Op: "list", Path: d.path, Err: err}
		}
		if n <= 0 {
			return names, nil
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}

func open(path string, flags int, mode uint32) (fd int, err error) {
	err = retry(func() error {
		fd, err = unix.Open(path, flags|unix.O_CLOEXEC, mode)
		return err
	})
	return fd, err
}

// retry repeats a call that a signal has interrupted. The runners send many signals.
func retry(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}

// remove removes a file, or anything that a model has put in its place.
func remove(path string) error {
	err := retry(func() error { return unix.Unlink(path) })
	if err == unix.EISDIR || err == unix.EPERM { // other systems than Linux return EPERM
		return removeTree(path)
	}
	if err != nil && err != unix.ENOENT {
		return &fs.PathError{Op: "remove", Path: path, Err: err}
	}
	return nil
}

// removeTree is os.RemoveAll, with one system call for the common case that path does not exist.
func removeTree(path string) error {
	if err := unix.Rmdir(path); err == nil || err == unix.ENOENT {
		return nil
	}
	return os.RemoveAll(path)
}

func (d *Dir) join(names ...string) string { return d.path + "/" + strings.Join(names, "/") }
