package files

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Kinds of leases, see fcntl(2).
const (
	forNobodyElse = unix.F_WRLCK // no other process has the file open
	forReaders    = unix.F_RDLCK // no process has it open or mapped for writing
)

// lease reports whether the kernel grants a lease of a file: then it is not open in another
// process, or not open for writing. A writable mapping counts as open, also after its descriptor
// was closed. lease returns the lease at once. The kernel does not grant one on some file systems,
// nor for files of another user.
func lease(file *os.File, kind int) bool {
	if _, err := unix.FcntlInt(file.Fd(), unix.F_SETLEASE, kind); err != nil {
		return false
	}
	_, err := unix.FcntlInt(file.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	return err == nil
}

// links returns the number of names of a file.
func links(info fs.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(stat.Nlink)
	}
	return 1
}
