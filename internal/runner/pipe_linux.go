package runner

import "golang.org/x/sys/unix"

// growPipe gives a pipe room for pipeSize. A refusal (the user's pipe budget is spent) costs only
// some of that.
func growPipe(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize) }
