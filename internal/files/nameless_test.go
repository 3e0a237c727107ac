package files_test

import (
	"errors"
	"io"
	"os"
	"testing"

	"github.com/coggo/coggo/internal/files"
)

func TestANamelessFileHasItsContentsAndLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	text := func(w io.Writer) (int64, error) {
		n, err := io.WriteString(w, "text")
		return int64(n), err
	}
	file, err := files.Nameless("coggo-test-", text)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 9)
	if n, err := file.ReadAt(got, 0); string(got[:n]) != "text" || err != io.EOF {
		t.Errorf("got %q, %v", got[:n], err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no room")
	if file, err := files.Nameless("coggo-test-", func(io.Writer) (int64, error) { return 0, full }); file != nil || !errors.Is(err, full) {
		t.Errorf("got %v, %v; want %v", file, err, full)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
