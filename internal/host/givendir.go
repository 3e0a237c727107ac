package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// belowPrefix begins the name of a user's private directory in a --working-dir that is not its own.
const belowPrefix = "coggo-work-"

// takeGiven takes the directory of --working-dir. If the directory is the server's own, the server
// keeps its files in it, otherwise in a private one below it: a volume of Kubernetes belongs to
// root and to a group, and one like /tmp to everybody. The private one has the same name at every
// start, so that a server finds the files of an earlier one.
func takeGiven(given string) (*WorkingDir, error) {
	path, err := filepath.Abs(given)
	if err != nil {
		return nil, fmt.Errorf("--working-dir %s: %w", given, err)
	}
	d := &WorkingDir{path: path, given: path, kind: chosen}
	info, err := os.Stat(path)
	if err == nil && !isOwn(info) {
		d.path = filepath.Join(path, belowPrefix+strconv.Itoa(os.Geteuid()))
		d.private = d.path
		err = errors.Join(shutOutGroup(d.path), makePrivate(d.path))
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil // the server makes it
	}
	if err == nil {
		err = d.take()
	}
	if err != nil {
		return nil, d.Explain(err)
	}
	return d, nil
}

// isOwn reports whether a directory belongs to this user, and others may not write to it.
func isOwn(info fs.FileInfo) bool { return ownerOf(info) == os.Geteuid() && !isShared(info) }

func isShared(info fs.FileInfo) bool { return info.Mode()&(fs.ModeSticky|0o002) != 0 }

func ownerOf(info fs.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) }

// shutOutGroup takes the rights of the group from a directory of this user, because Kubernetes
// gives an fsGroup rights to every directory of a volume each time it mounts the volume. For any
// other directory, makePrivate reports the problem.
func shutOutGroup(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if int(stat.Uid) != os.Geteuid() || stat.Mode&0o070 == 0 || stat.Mode&0o007 != 0 {
		return nil
	}
	if err := unix.Fchmod(fd, 0o700); err != nil {
		return &fs.PathError{Op: "chmod", Path: path, Err: err}
	}
	return nil
}

// Explain adds to an error about a file in the directory of --working-dir who owns the directory,
// and a remedy.
func (d *WorkingDir) Explain(err error) error {
	if d.given == "" {
		return err
	}
	return ExplainGiven(d.given, err, os.Geteuid(), os.Getegid())
}

// ExplainGiven is Explain for a server that runs, or is to run, as this user.
func ExplainGiven(given string, err error, uid, gid int) error {
	bad, ok := errors.AsType[*fs.PathError](err)
	if !ok || !within(bad.Path, given) && !within(given, bad.Path) {
		return err
	}
	at, info := nearest(filepath.Clean(given))
	const form = "--working-dir %s: %w; %s belongs to %s and has mode %04o, " +
		"and the server runs as %s: %s"
	return fmt.Errorf(form,
		given, err, at, userName(ownerOf(info)), modeOf(info), userName(uid),
		remedy(bad.Err, at, info, uid, gid))
}

func within(path, dir string) bool {
	return strings.HasPrefix(filepath.Clean(path)+"/", filepath.Clean(dir)+"/")
}

// nearest returns the path or its nearest ancestor that exists.
func nearest(path string) (string, fs.FileInfo) {
	for {
		info, err := os.Stat(path)
		if err == nil {
			return path, info
		}
		path = filepath.Dir(path)
	}
}

func remedy(err error, at string, info fs.FileInfo, uid, gid int) string {
	const another = "choose another --working-dir"
	switch {
	case !info.IsDir():
		return another
	case errors.Is(err, unix.EROFS):
		return "mount a volume there that can be written, or " + another
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return "make room on its file system, or " + another
	case ownerOf(info) == uid:
		return fmt.Sprintf("chmod u+rwx %s, or %s", at, another)
	default:
		return fmt.Sprintf("chown -R %d:%d %s, set fsGroup: %d in Kubernetes, or %s",
			uid, gid, at, gid, another)
	}
}

// modeOf returns the mode as chmod writes it.
func modeOf(info fs.FileInfo) uint32 { return uint32(info.Sys().(*syscall.Stat_t).Mode) & 0o7777 }

func userName(uid int) string {
	if known, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return fmt.Sprintf("uid %d (%s)", uid, known.Username)
	}
	return fmt.Sprintf("uid %d", uid)
}
