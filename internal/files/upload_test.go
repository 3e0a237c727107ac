package files_test

import (
	"encoding/json"
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

func publisher() *files.Publisher {
	return &files.Publisher{Client: fetcher().Client, RetryWait: time.Millisecond}
}

func TestAnUploadIsAPUTOfTheRawBytes(t *testing.T) {
	var got *http.Request
	var body []byte
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
	})
	p := publisher()
	p.UploadURL = base + "/bucket?token=secret"
	p.UserAgent = "agent/1"
	path := write(t, filepath.Join(t.TempDir(), "my cat #1.png"), "raw bytes")
	output, _, err := p.Publish(t.Context(), &files.Destination{ID: "id-1", Header: http.Header{"Traceparent": {"00-1-2-01"}}}, json.RawMessage(`{"image": null, "n": 1.0}`), []files.Entry{{Pointer: "/image", Path: path}})
	if want := `{"image": "` + base + `/bucket/my%20cat%20%231.png", "n": 1.0}`; err != nil || string(output) != want {
		t.Fatalf("%s, %v; want %s", output, err, want)
	}
	if got.Method != "PUT" || got.URL.Path != "/bucket/my cat #1.png" || got.URL.RawQuery != "token=secret" || string(body) != "raw bytes" {
		t.Errorf("%s %s with %q", got.Method, got.URL, body)
	}
	for name, want := range map[string]string{
		"Content-Type": "image/png", "Content-Length": "9", "X-Prediction-ID": "id-1", "Traceparent": "00-1-2-01", "User-Agent": "agent/1",
	} {
		if got.Header.Get(name) != want {
			t.Errorf("%s: %s; want %s", name, got.Header.Get(name), want)
		}
	}
	if got.ContentLength != 9 {
		t.Errorf("ContentLength = %d", got.ContentLength)
	}
}

func TestAnEmptyFileIsUploadedWithItsLength(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 || len(r.TransferEncoding) != 0 {
			t.Errorf("ContentLength %d, TransferEncoding %v", r.ContentLength, r.TransferEncoding)
		}
	})
	path := write(t, filepath.Join(t.TempDir(), "a.txt"), "")
	output, _, err := publisher().Publish(t.Context(), &files.Destination{ID: "id", URL: base}, json.RawMessage(`null`), []files.Entry{{Path: path}})
	if err != nil || string(output) != `"`+base+`/a.txt"` {
		t.Errorf("%s, %v", output, err)
	}
}

func TestThePrefixOfTheRequestGoesBeforeTheUploadURL(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/kept"+r.URL.Path+"?sig=secret#x")
		w.WriteHeader(http.StatusCreated)
	})
	p := publisher()
	p.UploadURL = "http://127.0.0.1:1/never"
	path := write(t, filepath.Join(t.TempDir(), "a.txt"), "x")
	output, _, err := p.Publish(t.Context(), &files.Destination{ID: "id", URL: base + "/mine/"}, json.RawMessage(`null`), []files.Entry{{Path: path}})
	if want := `"` + base + `/kept/mine/a.txt"`; err != nil || string(output) != want {
		t.Errorf("%s, %v; want %s", output, err, want)
	}
}

func TestUploadsKeepTheirOrderAndNeverOverwriteEachOther(t *testing.T) {
	var mu sync.Mutex
	kept := map[string]string{}
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		kept["http://"+r.Host+r.URL.Path] = string(body)
	})
	dir := t.TempDir()
	var entries []files.Entry
	for i := range 20 {
		sub := filepath.Join(dir, fmt.Sprint(i))
		if err := os.Mkdir(sub, 0o700); err != nil {
			t.Fatal(err)
		}
		entries = append(entries, files.Entry{Pointer: fmt.Sprintf("/%d", i), Path: write(t, filepath.Join(sub, "out.tar"), fmt.Sprint("file ", i))})
	}
	output, _, err := publisher().Publish(t.Context(), &files.Destination{ID: "id", URL: base}, json.RawMessage(`[`+strings.Repeat(`null,`, 19)+`null]`), entries)
	if err != nil {
		t.Fatal(err)
	}
	var addresses []string
	if err := json.Unmarshal(output, &addresses); err != nil {
		t.Fatal(err)
	}
	for i, address := range addresses {
		if want := fmt.Sprint("file ", i); kept[address] != want {
			t.Errorf("output %d is %s, which holds %q", i, address, kept[address])
		}
	}
	if addresses[0] != base+"/out.tar" || addresses[1] != base+"/out-1.tar" {
		t.Errorf("addresses = %v", addresses)
	}
}

func TestTemporaryUploadFailuresAreRetriedThreeTimesWithTheWholeFile(t *testing.T) {
	for _, status := range []int{500, 503, 429} {
		var calls atomic.Int32
		base := serve(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if string(body) != "whole" {
				t.Errorf("body %q", body)
			}
			if calls.Add(1) < 4 {
				w.WriteHeader(status)
			}
		})
		path := write(t, filepath.Join(t.TempDir(), "a.txt"), "whole")
		if _, _, err := publisher().Publish(t.Context(), &files.Destination{ID: "id", URL: base}, json.RawMessage(`null`), []files.Entry{{Path: path}}); err != nil || calls.Load() != 4 {
			t.Errorf("%d: %d calls, %v", status, calls.Load(), err)
		}
	}
}

func TestAFailedUploadNamesTheOutputTheURLAndTheReason(t *testing.T) {
	var calls atomic.Int32
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		switch {
		case strings.HasPrefix(r.URL.Path, "/see-other/"):
			http.Redirect(w, r, "/elsewhere", http.StatusSeeOther)
		default:
			http.Error(w, "no", http.StatusForbidden)
		}
	})
	path := write(t, filepath.Join(t.TempDir(), "a.txt"), "x")
	publish := func(prefix string) error {
		_, _, err := publisher().Publish(t.Context(), &files.Destination{ID: "id", URL: prefix}, json.RawMessage(`[null]`), []files.Entry{{Pointer: "/0", Path: path}})
		return err
	}
	err := publish(base + "/x?sig=secret")
	if err == nil || err.Error() != "output 0: PUT "+base+"/x/a.txt: 403 Forbidden" || !errors.Is(err, files.StatusError(403)) || calls.Load() != 1 {
		t.Errorf("%d calls, %v", calls.Load(), err)
	}
	if err := publish(base + "/see-other"); err == nil || err.Error() != "output 0: PUT "+base+"/see-other/a.txt: redirected from PUT to GET" {
		t.Errorf("%v", err)
	}
	for _, prefix := range []string{"file:///tmp", "/tmp", "http://"} {
		if err := publish(prefix); err == nil || err.Error() != "output: the upload URL must be an http or https URL" {
			t.Errorf("%s: %v", prefix, err)
		}
	}
}

func TestARedirectedUploadSendsTheFileAgain(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.HasPrefix(r.URL.Path, "/old/") {
			http.Redirect(w, r, "/new/a.txt", http.StatusTemporaryRedirect)
			return
		}
		if r.Method != "PUT" || string(body) != "x" {
			t.Errorf("%s with %q", r.Method, body)
		}
	})
	path := write(t, filepath.Join(t.TempDir(), "a.txt"), "x")
	output, _, err := publisher().Publish(t.Context(), &files.Destination{ID: "id", URL: base + "/old"}, json.RawMessage(`null`), []files.Entry{{Path: path}})
	if err != nil || string(output) != `"`+base+`/new/a.txt"` {
		t.Errorf("%s, %v", output, err)
	}
}

func TestAnyIDCanBeAHeader(t *testing.T) {
	var got string
	base := serve(t, func(w http.ResponseWriter, r *http.Request) { got = r.Header.Get("X-Prediction-ID") })
	path := write(t, filepath.Join(t.TempDir(), "a.txt"), "x")
	for id, want := range map[string]string{"a b/c": "a b/c", "a\r\nX-Evil: 1": "a%0D%0AX-Evil:%201", "é": "%C3%A9"} {
		_, _, err := publisher().Publish(t.Context(), &files.Destination{ID: id, URL: base}, json.RawMessage(`null`), []files.Entry{{Path: path}})
		if err != nil || got != want {
			t.Errorf("%q: %q, %v", id, got, err)
		}
	}
}
