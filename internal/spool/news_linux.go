package spool

import (
	"encoding/binary"
	"iter"

	"golang.org/x/sys/unix"
)

// The kernel reports a write or a rename before the call of the runner returns. So what a signal
// announces is always among what can be read.
const (
	newsMask = unix.IN_MODIFY | unix.IN_MOVED_TO | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF |
		unix.IN_ONLYDIR
	newsLost = unix.IN_Q_OVERFLOW | unix.IN_IGNORED | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF |
		unix.IN_UNMOUNT
)

func (n *News) read(take func(iter.Seq[New])) (all bool) {
	if n.fd < 0 {
		n.begin()
		return false
	}
	for {
		size, err := read(n.fd, n.buf)
		if err != nil || size == 0 { // EAGAIN: everything has been read
			return true
		}
		lost := uint32(0)
		take(entries(n.buf[:size], &lost))
		if lost&^unix.IN_Q_OVERFLOW != 0 { // the path may have another directory by now
			n.Close()
			n.begin()
		}
		if lost != 0 {
			return false
		}
	}
}

// begin starts the watch. Without one the directory is listed, as it is on other systems.
func (n *News) begin() {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return
	}
	if _, err := unix.InotifyAddWatch(fd, n.dir.path, newsMask); err != nil {
		_ = unix.Close(fd)
		return
	}
	n.fd = fd
	if n.buf == nil {
		n.buf = make([]byte, newsBytes)
	}
}

// Close ends the watch.
func (n *News) Close() {
	if n.fd >= 0 {
		_ = unix.Close(n.fd)
		n.fd = -1
	}
}

// entries yields the predictions in data, see inotify(7). It sets the bits of newsLost that are in
// it.
func entries(data []byte, lost *uint32) iter.Seq[New] {
	return func(yield func(New) bool) {
		for len(data) >= unix.SizeofInotifyEvent {
			mask := binary.NativeEndian.Uint32(data[4:])
			end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(data[12:]))
			*lost |= mask & newsLost
			found, ok := named(data[unix.SizeofInotifyEvent:end])
			data = data[end:]
			if ok && !yield(found) {
				return
			}
		}
	}
}
