package watch

import (
	"io/fs"
	"syscall"
	"time"
)

// changedAt returns when a file came to be as it is. A rename changes it, but not the time of the
// contents.
func changedAt(info fs.FileInfo) time.Time {
	return time.Unix(info.Sys().(*syscall.Stat_t).Ctim.Unix())
}
