package watch

import (
	"io/fs"
	"syscall"
	"time"
)

// changedAt is when a file came to be as it is, also by a rename, which keeps the time of its
// contents.
func changedAt(info fs.FileInfo) time.Time {
	return time.Unix(info.Sys().(*syscall.Stat_t).Ctim.Unix())
}
