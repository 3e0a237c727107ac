package runner

import "golang.org/x/sys/unix"

// growPipe gives a pipe room for pipeSize. If the kernel refuses, because the user's pipe budget is
// spent, the pipe keeps its 64 KiB.
func growPipe(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize) }
