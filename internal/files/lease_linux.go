package files

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Kinds of leases, see fcntl(2).
const (
	forNobodyElse = unix.F_WRLCK // nobody else has the file open
	forReaders    = unix.F_RDLCK // nobody has it open or mapped for writing
)

// lease reports whether the kernel gives a lease of a file: then nobody else has it open, or nobody
// for writing. A writable mapping counts as long as it lasts, also after its descriptor was closed.
// The lease itself is given back at once. File systems without leases, and files of another user,
// get none.
func lease(file *os.File, kind int) bool {
	if _, err := unix.FcntlInt(file.Fd(), unix.F_SETLEASE, kind); err != nil {
		return false
	}
	_, err := unix.FcntlInt(file.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	return err == nil
}

// links is how many names a file has.
func links(info fs.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(stat.Nlink)
	}
	return 1
}
