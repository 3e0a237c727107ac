package host

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestExplainGivenNamesTheDirectoryAndTheFix(t *testing.T) {
	dir := t.TempDir()
	me := os.Geteuid()
	for name, test := range map[string]struct {
		reason error
		uid    int
		want   string
	}{
		"of this user":   {unix.EACCES, me, "chmod u+rwx " + dir},
		"of another":     {unix.EACCES, me + 1, "chown -R "},
		"read-only":      {unix.EROFS, me, "mount a volume there that can be written"},
		"full":           {unix.ENOSPC, me, "make room on its file system"},
		"over its quota": {unix.EDQUOT, me, "make room on its file system"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := &fs.PathError{Op: "mkdir", Path: filepath.Join(dir, "a"), Err: test.reason}
			got := ExplainGiven(dir, bad, test.uid, 7).Error()
			if !strings.HasPrefix(got, "--working-dir "+dir+": ") || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestExplainGivenLeavesErrorsOfOtherFilesAlone(t *testing.T) {
	bad := &fs.PathError{Op: "open", Path: "/elsewhere/a", Err: unix.EACCES}
	if got := ExplainGiven(t.TempDir(), bad, 0, 0); got != error(bad) {
		t.Error(got)
	}
}
