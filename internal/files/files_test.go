package files_test

import (
	"context"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/coggo/coggo/internal/files"
)

// serve starts a server for one test and returns its address.
func serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func fetcher() *files.Fetcher {
	return &files.Fetcher{Client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, RetryWait: time.Millisecond}
}

// fetchOne fetches a single URL for the input "image" and returns the path of its file.
func fetchOne(t testing.TB, f *files.Fetcher, dir, url string) (string, error) {
	t.Helper()
	placed, err := f.Fetch(t.Context(), dir, []files.Source{{Pointer: "/image", URL: url}}, nil)
	if err != nil {
		if placed != nil {
			t.Errorf("files %v beside the error %v", placed, err)
		}
		return "", err
	}
	return placed[0].Path, nil
}

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func write(t testing.TB, path, data string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// filesIn lists the regular files below dir.
func filesIn(t testing.TB, dir string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// canceledAfter returns a context that ends when the returned function is called.
func canceledAfter(t testing.TB) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx, cancel
}
