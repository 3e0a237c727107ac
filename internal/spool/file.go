package spool

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// The functions here make the system calls themselves. Package os offers every file to the poller first, which for a
// regular file costs five more calls for nothing; a prediction opens three.

// put writes a whole file of these parts: readers see it complete or not at all.
func (d *Dir) put(name string, parts ...[]byte) (err error) {
	tmp := d.join(tmpDir, strings.ReplaceAll(name, "/", "-"))
	defer func() {
		if err != nil {
			_ = unix.Unlink(tmp)
		}
	}()
	err = write(tmp, parts...)
	if full(err) {
		d.awaitClosing() // which may make room
		err = write(tmp, parts...)
	}
	if err != nil {
		return &fs.PathError{Op: "write", Path: tmp, Err: err}
	}
	if err := retry(func() error { return unix.Rename(tmp, d.join(name)) }); err != nil {
		return &os.LinkError{Op: "rename", Old: tmp, New: d.join(name), Err: err}
	}
	return nil
}

// full reports whether err says that there is no room.
func full(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

func write(path string, parts ...[]byte) error {
	fd, err := open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	for _, part := range parts {
		for len(part) > 0 && err == nil {
			var n int
			n, err = unix.Write(fd, part)
			if err == unix.EINTR {
				n, err = 0, nil
			}
			part = part[max(0, n):]
		}
	}
	return errors.Join(err, unix.Close(fd))
}

// get reads a file that may not be there yet.
func (d *Dir) get(name string) ([]byte, bool, error) {
	path := d.join(name)
	fd, err := open(path, unix.O_RDONLY, 0)
	if err == unix.ENOENT {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	data, err := readAll(fd)
	if err != nil {
		return nil, false, &fs.PathError{Op: "read", Path: path, Err: err}
	}
	return data, true, nil
}

// readAll reads what is between the offset of fd and the end of the file. With an error it returns what came before it.
func readAll(fd int) ([]byte, error) {
	buf := make([]byte, 0, 1024)
	for {
		if len(buf) == cap(buf) {
			buf = grow(buf, fd)
		}
		n, err := unix.Read(fd, buf[len(buf):cap(buf)])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return buf, err
		case n == 0:
			return buf, nil
		default:
			buf = buf[:len(buf)+n]
			if len(buf) < cap(buf) {
				return buf, nil // a short read of a regular file is its end
			}
		}
	}
}

// grow makes room for the rest of the file at once where its size is known.
func grow(buf []byte, fd int) []byte {
	size := 2 * cap(buf)
	var stat unix.Stat_t
	if unix.Fstat(fd, &stat) == nil {
		size = max(size, int(stat.Size)+1)
	}
	return append(make([]byte, 0, size), buf...)
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

// retry repeats what a signal has interrupted; the runners send many.
func retry(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}

func remove(path string) error {
	if err := retry(func() error { return unix.Unlink(path) }); err != nil && err != unix.ENOENT {
		return &fs.PathError{Op: "remove", Path: path, Err: err}
	}
	return nil
}

// removeTree is os.RemoveAll with one system call for the common case that there is nothing.
func removeTree(path string) error {
	if err := unix.Rmdir(path); err == nil || err == unix.ENOENT {
		return nil
	}
	return os.RemoveAll(path)
}

func (d *Dir) join(names ...string) string { return d.path + "/" + strings.Join(names, "/") }
