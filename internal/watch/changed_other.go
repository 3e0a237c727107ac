//go:build !linux

package watch

import (
	"io/fs"
	"time"
)

func changedAt(info fs.FileInfo) time.Time { return info.ModTime() }
