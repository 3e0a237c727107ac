package host

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func openForTest(t *testing.T, c DirConfig) *WorkingDir {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	c.ModelTemp = t.TempDir()
	d, err := OpenWorkingDir(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func TestAnEphemeralDirectoryIsRemovedWithItsServer(t *testing.T) {
	d := openForTest(t, DirConfig{Ephemeral: true})
	inputs, err := d.InputDir()
	if err != nil || d.Durable() || !Exists(d.Path()) || !Exists(inputs) {
		t.Fatal(inputs, err, d.Durable())
	}
	d.Close()
	if Exists(d.Path()) || Exists(inputs) {
		t.Error("a directory is left over")
	}
}

func TestRenewCreatesADirectoryThatTheModelHasRemoved(t *testing.T) {
	d := openForTest(t, DirConfig{Ephemeral: true})
	if err := os.RemoveAll(d.Path()); err != nil {
		t.Fatal(err)
	}
	if err := d.Renew(); err != nil || !Exists(filepath.Join(d.Path(), ephemeralMark)) {
		t.Error(err)
	}
}

func TestAGivenDirectoryThatOthersMayWriteToGetsAPrivateOne(t *testing.T) {
	given := t.TempDir()
	if err := os.Chmod(given, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	d := openForTest(t, DirConfig{Given: given})
	info, err := os.Stat(d.Path())
	if err != nil || filepath.Dir(d.Path()) != given || info.Mode().Perm() != 0o700 || !d.Durable() {
		t.Error(d.Path(), info, err)
	}
}

func TestAPrivateDirectoryOpenToOthersIsRefusedWithTheFix(t *testing.T) {
	path := t.TempDir()
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	err := makePrivate(path)
	if err == nil || !strings.Contains(err.Error(), path) || !strings.HasSuffix(err.Error(), "remove it") {
		t.Error(err)
	}
}
