package files_test

import (
	"encoding/base64"
	"io"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/coggo/coggo/internal/files"
)

func TestDataURLsAreDecodedInAllTheirForms(t *testing.T) {
	for _, row := range []struct{ url, name, want string }{
		{"data:,hi%20there", "file.txt", "hi there"},
		{"data:text/plain,hi%20there", "file.txt", "hi there"},
		{"data:text/plain;charset=utf-8,%C3%A9", "file.txt", "é"},
		{"data:;base64,aGk=", "file.txt", "hi"},
		{"data:image/png;base64,aGk=", "file.png", "hi"},
		{"DATA:IMAGE/PNG;BASE64,aGk=", "file.png", "hi"},
		{"data:image/png;name=x.png;base64,aGk=", "file.png", "hi"},
		{"data:image/jpeg;base64,aGk", "file.jpg", "hi"},
		{"data:audio/x-wav;base64,", "file.wav", ""},
		{"data:video/mp4;base64,-_-_", "file.mp4", "\xfb\xff\xbf"},
		{"data:video/mp4;base64,%2B%2F+/", "file.mp4", "\xfb\xff\xbf"},
		{"data:application/octet-stream;base64,aG\r\nk %3D", "file.bin", "hi"},
		{"data:application/x-nobody-knows,1", "file", "1"},
		{"data:../../etc/passwd,1", "file", "1"},
		{"data:application/json,{\"a\": [1,2]}", "file.json", `{"a": [1,2]}`},
		{"data:,100%", "file.txt", "100%"},
		{"data:,%zz%4", "file.txt", "%zz%4"},
		{"data:,#1", "file.txt", "#1"},
		{"data:,a+b", "file.txt", "a+b"},
		{"data:text/plain;notbase64,aGk=", "file.txt", "aGk="},
	} {
		t.Run(row.url, func(t *testing.T) {
			path, err := fetchOne(t, fetcher(), t.TempDir(), row.url)
			if err != nil {
				t.Fatal(err)
			}
			if got := read(t, path); got != row.want || filepath.Base(path) != row.name {
				t.Errorf("%s holds %q; want %s with %q", filepath.Base(path), got, row.name, row.want)
			}
		})
	}
}

func TestBrokenBase64IsRefused(t *testing.T) {
	for _, data := range []string{"a", "aGkaG", "a!k=", "aGk=aGk=", "é", "aG%00k"} {
		dir := t.TempDir()
		if _, err := fetchOne(t, fetcher(), dir, "data:;base64,"+data); err == nil || !strings.HasPrefix(err.Error(), "input image: decode data: URL: ") {
			t.Errorf("%q: %v", data, err)
		}
		if left := filesIn(t, dir); left != nil {
			t.Errorf("%q left %v behind", data, left)
		}
	}
}

// FuzzDataURL checks that any bytes survive each encoding, that every read ends, and that no media
// type leads out of the file's directory.
func FuzzDataURL(f *testing.F) {
	for _, seed := range []string{"", "hi there", "\x00\xff", ";base64,aGk=", "a,b;base64,%20", "image/png;base64,_-==", strings.Repeat("%4", 50)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, encoded := range []string{
			"," + strings.ReplaceAll(url.QueryEscape(text), "+", "%20"),
			"image/png;base64," + base64.StdEncoding.EncodeToString([]byte(text)),
			"image/png;base64," + url.QueryEscape(base64.RawURLEncoding.EncodeToString([]byte(text))),
		} {
			_, body, err := files.ParseData(encoded)
			if err != nil {
				t.Fatalf("%q: %v", encoded, err)
			}
			if data, err := io.ReadAll(iotest.OneByteReader(body)); err != nil || string(data) != text {
				t.Fatalf("%q became %q: %v", encoded, data, err)
			}
		}
		mediaType, body, err := files.ParseData(text)
		if err != nil {
			return
		}
		_, _ = io.ReadAll(body)
		if ext := files.Extension(mediaType); strings.ContainsAny(ext, "/\\\x00") || strings.Contains(ext, "..") {
			t.Fatalf("the extension of %q is %q", mediaType, ext)
		}
	})
}
