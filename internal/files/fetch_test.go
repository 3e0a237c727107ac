package files_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coggo/coggo/internal/files"
)

func TestDownloadsArePlacedUnderTheirNamesInTheOrderOfTheSources(t *testing.T) {
	var headers atomic.Pointer[http.Header]
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow/a.png" {
			headers.Store(&r.Header)
		}
		io.WriteString(w, "content of "+r.URL.Path)
	})
	f := fetcher()
	f.UserAgent = "agent/1"
	dir := t.TempDir()
	placed, err := f.Fetch(t.Context(), dir, []files.Source{
		{"/image", base + "/slow/a.png?sig=secret"},
		{"/images/0", base + "/a.png"},
		{"/text", "data:text/plain,hi%20there"},
	}, http.Header{"Traceparent": {"00-1-2-01"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []files.Placed{
		{"/image", filepath.Join(dir, "0", "a.png")},
		{"/images/0", filepath.Join(dir, "1", "a.png")},
		{"/text", filepath.Join(dir, "2", "file.txt")},
	}
	for i, text := range []string{"content of /slow/a.png", "content of /a.png", "hi there"} {
		if placed[i] != want[i] || read(t, placed[i].Path) != text {
			t.Errorf("placed[%d] = %+v; want %+v with %q", i, placed[i], want[i], text)
		}
	}
	if got := *headers.Load(); got.Get("User-Agent") != "agent/1" || got.Get("Traceparent") != "00-1-2-01" {
		t.Errorf("request headers = %v", got)
	}
	info, err := os.Stat(placed[0].Path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestFetchWithoutSourcesMakesNoFiles(t *testing.T) {
	dir := t.TempDir()
	placed, err := fetcher().Fetch(t.Context(), dir, nil, nil)
	if err != nil || len(placed) != 0 || len(filesIn(t, dir)) != 0 {
		t.Errorf("Fetch = %v, %v", placed, err)
	}
}

func TestFileNamesComeFromTheURLAndAreSafe(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "image/png")
	})
	long := strings.Repeat("x", 400)
	for _, row := range []struct{ path, want string }{
		{"/dir/cat.png", "cat.png"},
		{"/cat.png?x=/other.jpg#frag", "cat.png"},
		{"/my%20cat%C3%A9.png", "my caté.png"},
		{"/", "file.png"},
		{"", "file.png"},
		{"/dir/", "file.png"},
		{"/a%2Fb%5Cc.png", "a_b_c.png"},
		{"/a%00b%0a.png", "a_b_.png"},
		{"/%ff.png", "_.png"},
		{"/.hidden", "hidden.png"},
		{"/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "_.._etc_passwd.png"},
		{"/...", "file.png"},
		{"/%20", "file.png"},
		{"/noextension", "noextension.png"},
		{"/model/v1.5", "v1.5.png"},
		{"/weights.safetensors", "weights.safetensors"},
		{"/photo.jpg:large", "photo.jpg:large.png"},
		{"/100%.jpg", "100%.jpg"},
		{"/" + long + ".tar.gz", strings.Repeat("x", 197) + ".gz"},
		{"/x." + long, "x." + strings.Repeat("x", 194) + ".png"},
		{"/" + strings.Repeat("%C3%A9", 150) + ".png", strings.Repeat("é", 98) + ".png"},
	} {
		t.Run(row.want, func(t *testing.T) {
			path, err := fetchOne(t, fetcher(), t.TempDir(), base+row.path)
			if err != nil {
				t.Fatal(err)
			}
			name := filepath.Base(path)
			if len(name) > 200 || filepath.Base(filepath.Dir(path)) != "0" {
				t.Errorf("path %s with a name of %d bytes", path, len(name))
			}
			if name != row.want {
				t.Errorf("name = %q; want %q", name, row.want)
			}
		})
	}
}

func TestRedirectsAreFollowedWithinBoundsAndToHTTPOnly(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var left int
		switch {
		case r.URL.Path == "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		case r.URL.Path == "/ftp":
			http.Redirect(w, r, "ftp://example.com/x", http.StatusFound)
		default:
			fmt.Sscanf(r.URL.Path, "/%d", &left)
			if left > 0 {
				http.Redirect(w, r, fmt.Sprintf("/%d", left-1), http.StatusFound)
				return
			}
			io.WriteString(w, "there")
		}
	})
	path, err := fetchOne(t, fetcher(), t.TempDir(), base+"/10")
	if err != nil || read(t, path) != "there" || filepath.Base(path) != "10.txt" {
		t.Errorf("ten redirects: %s, %v", path, err)
	}
	for path, reason := range map[string]string{
		"/11": "redirected more than 10 times", "/file": `redirected to the scheme "file"`, "/ftp": `redirected to the scheme "ftp"`,
	} {
		if _, err := fetchOne(t, fetcher(), t.TempDir(), base+path); err == nil || err.Error() != "input image: GET "+base+path+": "+reason {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestAFailedDownloadNamesTheInputTheURLAndTheReason(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/short":
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "not a hundred bytes")
		case "/announced":
			w.Header().Set("Content-Length", "1000000")
		case "/endless":
			for range 1000 {
				if _, err := w.Write(make([]byte, 1000)); err != nil {
					return
				}
			}
		default:
			http.NotFound(w, r)
		}
	})
	f := fetcher()
	f.MaxBytes = 5000
	f.Attempts = 2
	for _, row := range []struct{ url, text string }{
		{base + "/x?sig=secret", "input image: GET " + base + "/x: 404 Not Found"},
		{strings.Replace(base, "://", "://user:secret@", 1) + "/x#frag", "input image: GET " + base + "/x: 404 Not Found"},
		{base + "/short", "input image: GET " + base + "/short: unexpected EOF"},
		{base + "/announced", "input image: GET " + base + "/announced: the file is larger than the limit of 5000 bytes"},
		{base + "/endless", "input image: GET " + base + "/endless: the file is larger than the limit of 5000 bytes"},
		{"http://127.0.0.1:1/x?sig=secret", "input image: GET http://127.0.0.1:1/x: dial tcp 127.0.0.1:1: connect: connection refused"},
		{"file:///etc/passwd", "input image: fetch: must be an http or https URL"},
		{"/etc/passwd", "input image: fetch: must be an http or https URL"},
		{"data:," + strings.Repeat("x", 5001), "input image: decode data: URL: the file is larger than the limit of 5000 bytes"},
		{"data:text/plain", "input image: decode data: URL: there is no comma before the data"},
	} {
		dir := t.TempDir()
		_, err := fetchOne(t, f, dir, row.url)
		if err == nil || err.Error() != row.text {
			t.Errorf("%.60s: %v\nwant %s", row.url, err, row.text)
		}
		if _, ok := errors.AsType[*files.Error](err); !ok {
			t.Errorf("%.60s: the error is a %T", row.url, err)
		}
		if left := filesIn(t, dir); left != nil {
			t.Errorf("%.60s left %v behind", row.url, left)
		}
	}
	if _, err := fetchOne(t, f, t.TempDir(), base+"/x"); !errors.Is(err, files.StatusError(404)) {
		t.Errorf("%v is not a StatusError", err)
	}
	if _, err := fetchOne(t, f, t.TempDir(), base+"/endless"); !errors.Is(err, files.TooLargeError(5000)) {
		t.Errorf("%v is not a TooLargeError", err)
	}
}

func TestOneFailureRemovesWhatTheOthersPlaced(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ok" {
			http.Error(w, "no", http.StatusForbidden)
		}
	})
	dir := t.TempDir()
	_, err := fetcher().Fetch(t.Context(), dir, []files.Source{{"/a", base + "/ok"}, {"/b", "data:,x"}, {"/xs/3", base + "/no"}}, nil)
	if err == nil || err.Error() != "input xs/3: GET "+base+"/no: 403 Forbidden" {
		t.Errorf("err = %v", err)
	}
	if left := filesIn(t, dir); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

func TestTemporaryFailuresAreRetriedAndFinalOnesAreNot(t *testing.T) {
	for _, row := range []struct {
		name     string
		fail     func(w http.ResponseWriter)
		repeated bool
	}{
		{"503", func(w http.ResponseWriter) { w.WriteHeader(503) }, true},
		{"500", func(w http.ResponseWriter) { w.WriteHeader(500) }, true},
		{"429", func(w http.ResponseWriter) { w.WriteHeader(429) }, true},
		{"a closed connection", func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, true},
		{"half a body", func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "a long beginning of something else")
		}, true},
		{"404", func(w http.ResponseWriter) { w.WriteHeader(404) }, false},
		{"401", func(w http.ResponseWriter) { w.WriteHeader(401) }, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			var calls atomic.Int32
			base := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if calls.Add(1) < 4 {
					row.fail(w)
					return
				}
				io.WriteString(w, "done")
			})
			path, err := fetchOne(t, fetcher(), t.TempDir(), base+"/x")
			if row.repeated && (err != nil || read(t, path) != "done" || calls.Load() != 4) {
				t.Errorf("%d calls, %v", calls.Load(), err)
			}
			if !row.repeated && (err == nil || calls.Load() != 1) {
				t.Errorf("%d calls, %v", calls.Load(), err)
			}
		})
	}
	var calls atomic.Int32
	base := serve(t, func(w http.ResponseWriter, r *http.Request) { calls.Add(1); w.WriteHeader(502) })
	if _, err := fetchOne(t, fetcher(), t.TempDir(), base+"/x"); !errors.Is(err, files.StatusError(502)) || calls.Load() != 4 {
		t.Errorf("%d calls, %v", calls.Load(), err)
	}
}

func TestACancelEndsDownloadsAtOnceAndLeavesNothing(t *testing.T) {
	started := make(chan struct{}, 3)
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "the beginning")
		w.(http.Flusher).Flush()
		started <- struct{}{}
		<-r.Context().Done()
	})
	ctx, cancel := canceledAfter(t)
	dir := t.TempDir()
	go func() {
		<-started
		<-started
		cancel()
	}()
	_, err := fetcher().Fetch(ctx, dir, []files.Source{{"/a", base + "/a"}, {"/b", base + "/b"}}, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
	if left := filesIn(t, dir); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

func TestADownloadThatStallsIsGivenUp(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "the beginning")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	f := fetcher()
	f.Stall = 20 * time.Millisecond
	_, err := fetchOne(t, f, t.TempDir(), base+"/x")
	if err == nil || err.Error() != "input image: GET "+base+"/x: no byte moved for too long" {
		t.Errorf("err = %v", err)
	}
}

func TestAtMostEightDownloadsRunAtOnce(t *testing.T) {
	var now, most atomic.Int32
	var once sync.Once
	eight := make(chan struct{})
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		if n == 8 {
			once.Do(func() { close(eight) })
		}
		<-eight
	})
	var sources []files.Source
	for i := range 40 {
		sources = append(sources, files.Source{Pointer: fmt.Sprintf("/xs/%d", i), URL: base + "/x"})
	}
	placed, err := fetcher().Fetch(t.Context(), t.TempDir(), sources, nil)
	if err != nil || len(placed) != 40 || most.Load() != 8 {
		t.Errorf("%d files, %d at once, %v", len(placed), most.Load(), err)
	}
}
