package runner

import (
	"os"

	"golang.org/x/sys/unix"
)

func growPipe(f *os.File, size int) {
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	// A refusal (the user's pipe budget is spent) costs only some head room.
	_ = raw.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, size) })
}
