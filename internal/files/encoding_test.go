package files_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coggo/coggo/internal/files"
)

// encode is how a source keeps a file.
func encode(t testing.TB, text, coding string) string {
	t.Helper()
	var out bytes.Buffer
	var to io.WriteCloser
	switch coding {
	case "gzip":
		to = gzip.NewWriter(&out)
	case "zlib":
		to = zlib.NewWriter(&out)
	case "flate":
		to, _ = flate.NewWriter(&out, flate.BestCompression)
	}
	_, err := io.WriteString(to, text)
	if err != nil || to.Close() != nil {
		t.Fatal(err)
	}
	return out.String()
}

// encoded serves a body with codings, each a line of its own.
func encoded(t testing.TB, body string, codings ...string) string {
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Accept-Encoding"); got != "identity" {
			t.Errorf("Accept-Encoding: %s", got)
		}
		w.Header()["Content-Encoding"] = codings
		io.WriteString(w, body)
	})
}

func TestAFileIsDecodedFromItsContentEncoding(t *testing.T) {
	text := strings.Repeat("a,b\n", 1000)
	zipped := encode(t, text, "gzip")
	for _, row := range []struct{ coding, body, want string }{
		{"gzip", zipped, text},
		{"GZIP", zipped, text},
		{"x-gzip", zipped, text},
		{"deflate", encode(t, text, "zlib"), text},
		{"deflate", encode(t, text, "flate"), text},
		{"deflate", encode(t, "", "flate"), ""},
		{"gzip", zipped + encode(t, "and more", "gzip"), text + "and more"},
		{"deflate, gzip", encode(t, encode(t, text, "zlib"), "gzip"), text},
		{"gzip, gzip", encode(t, zipped, "gzip"), text},
		{"gzip, identity,", zipped, text},
		{"aws-chunked,gzip", zipped, text},
		{"aws-chunked", text, text},
		{"identity", text, text},
		{"utf-8", text, text},
		{"base64", text, text},
		{"binary, gzip", zipped, text},
		{strings.Repeat("y", 500), text, text},
		{"gzip", zipped + "\x00\x00\x00\x00", text},
		{"gzip", zipped + "\x1f and more", text},
		{"", text, text},
		{"gzip", "", ""},
		{"deflate", "", ""},
		{"gzip", encode(t, "", "gzip"), ""},
	} {
		path, err := fetchOne(t, fetcher(), t.TempDir(), encoded(t, row.body, row.coding)+"/x.csv")
		if err != nil || read(t, path) != row.want {
			t.Errorf("%q of %d bytes: %v", row.coding, len(row.body), err)
		}
	}
	path, err := fetchOne(t, fetcher(), t.TempDir(), encoded(t, encode(t, zipped, "zlib"), "gzip", "deflate")+"/x.csv")
	if err != nil || read(t, path) != text {
		t.Errorf("two lines: %v", err)
	}
}

func TestAnEncodedFileThatIsWrongOrABombFails(t *testing.T) {
	zeros := strings.Repeat("\x00", 32<<20)
	bomb := encode(t, zeros, "gzip")
	empties := strings.Repeat("\x00\x00\x00\xff\xff", 20_000) // stored blocks of no bytes
	for _, row := range []struct {
		coding, body string
		limit        int64
		want         string
	}{
		{"br", "x", 0, `the file comes with the Content-Encoding "br"; only gzip and deflate can be decoded`},
		{"gzip, zstd", "x", 0, `the file comes with the Content-Encoding "zstd"; only gzip and deflate can be decoded`},
		{"gzip", encode(t, "text", "gzip") + encode(t, "more", "gzip")[:9], 0, "decode its Content-Encoding: unexpected EOF"},
		{"gzip", encode(t, "text", "gzip") + strings.Repeat("\x00", 200), 100, "the file is larger than the limit of 100 bytes"},
		{"gzip,gzip,gzip,gzip", "x", 0, "the file comes with 4 Content-Encodings; at most 3 can be decoded"},
		{"gzip", "plain text that is not encoded", 0, "decode its Content-Encoding: gzip: invalid header"},
		{"gzip", encode(t, "text", "gzip")[:20], 0, "decode its Content-Encoding: unexpected EOF"},
		{"gzip", encode(t, "text", "gzip")[:5], 0, "decode its Content-Encoding: unexpected EOF"},
		{"deflate", encode(t, "text", "zlib")[:8], 0, "decode its Content-Encoding: unexpected EOF"},
		{"gzip", bomb, 0, "the decoded file is more than 200 times as large as the encoded one"},
		{"gzip, gzip", encode(t, bomb, "gzip"), 0, "the decoded file is more than 200 times as large as the encoded one"},
		{"gzip", bomb, 1 << 20, "the file is larger than the limit of 1048576 bytes"},
		{"gzip", encode(t, strings.Repeat("x", 101), "gzip"), 100, "the file is larger than the limit of 100 bytes"},
		{"deflate", empties, 10_000, "the file is larger than the limit of 10000 bytes"},
	} {
		f := fetcher()
		f.MaxBytes, f.Attempts = row.limit, 2
		dir := t.TempDir()
		base := encoded(t, row.body, row.coding)
		_, err := fetchOne(t, f, dir, base+"/x.bin")
		if want := "input image: GET " + base + "/x.bin: " + row.want; err == nil || err.Error() != want {
			t.Errorf("%.30s: %v; want %s", row.coding, err, want)
		}
		if left := filesIn(t, dir); left != nil {
			t.Errorf("%.30s left %v", row.coding, left)
		}
	}
}

func TestAVeryCompressibleFileIsNotRefusedAsABomb(t *testing.T) {
	mask := strings.Repeat("\x00", 16<<20)
	f := &files.Fetcher{Client: fetcher().Client, MaxBytes: 16 << 20}
	path, err := fetchOne(t, f, t.TempDir(), encoded(t, encode(t, mask, "gzip"), "gzip")+"/mask.npy")
	if err != nil || read(t, path) != mask {
		t.Error(err)
	}
}
