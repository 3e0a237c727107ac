package spool

import (
	"encoding/binary"
	"iter"

	"golang.org/x/sys/unix"
)

// The kernel reports a write or a rename before the call of the runner returns. So what a signal
// announces is always among what can be read.
const (
	changesMask = unix.IN_MODIFY | unix.IN_MOVED_TO | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF |
		unix.IN_ONLYDIR
	changesLost = unix.IN_Q_OVERFLOW | unix.IN_IGNORED | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF |
		unix.IN_UNMOUNT
)

func (c *Changes) read(take func(iter.Seq[Change])) (all bool) {
	if c.fd < 0 {
		c.begin()
		return false
	}
	for {
		size, err := read(c.fd, c.buf)
		if err != nil || size == 0 { // EAGAIN: everything has been read
			return true
		}
		lost := uint32(0)
		take(entries(c.buf[:size], &lost))
		if lost&^unix.IN_Q_OVERFLOW != 0 { // the path may have another directory by now
			c.Close()
			c.begin()
		}
		if lost != 0 {
			return false
		}
	}
}

// begin starts the watch. Without one the directory is listed, as it is on other systems.
func (c *Changes) begin() {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return
	}
	if _, err := unix.InotifyAddWatch(fd, c.dir.path, changesMask); err != nil {
		_ = unix.Close(fd)
		return
	}
	c.fd = fd
	if c.buf == nil {
		c.buf = make([]byte, changesBytes)
	}
}

// Close ends the watch.
func (c *Changes) Close() {
	if c.fd >= 0 {
		_ = unix.Close(c.fd)
		c.fd = -1
	}
}

// entries yields the predictions in data, see inotify(7). It sets the bits of changesLost that are
// in it.
func entries(data []byte, lost *uint32) iter.Seq[Change] {
	return func(yield func(Change) bool) {
		for len(data) >= unix.SizeofInotifyEvent {
			mask := binary.NativeEndian.Uint32(data[4:])
			end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(data[12:]))
			*lost |= mask & changesLost
			found, ok := named(data[unix.SizeofInotifyEvent:end])
			data = data[end:]
			if ok && !yield(found) {
				return
			}
		}
	}
}
