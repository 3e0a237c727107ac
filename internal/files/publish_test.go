package files_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coggo/coggo/internal/files"
)

const png = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"

func TestFilesBecomeDataURLsAndEveryOtherByteStays(t *testing.T) {
	dir := t.TempDir()
	a := write(t, filepath.Join(dir, "a.txt"), "hello")
	b := write(t, filepath.Join(dir, "b.json"), "{}")
	const dataA, dataB = `"data:text/plain;base64,aGVsbG8="`, `"data:application/json;base64,e30="`
	for _, row := range []struct {
		output  string
		entries []files.Entry
		want    string
	}{
		{`null`, []files.Entry{{Pointer: "", Path: a}}, dataA},
		{` null `, []files.Entry{{Pointer: "", Path: a}}, ` ` + dataA + ` `},
		{`[null, null]`, []files.Entry{{Pointer: "/1", Path: b}, {Pointer: "/0", Path: a}}, `[` + dataA + `, ` + dataB + `]`},
		{`{"z": 1.10, "a": null, "big": 1180591620717411303424, "s": "\u00e9<&>"}`, []files.Entry{{Pointer: "/a", Path: a}},
			`{"z": 1.10, "a": ` + dataA + `, "big": 1180591620717411303424, "s": "\u00e9<&>"}`},
		{`{"x":{"y":[{"n":null},null]},"n":null}`, []files.Entry{{Pointer: "/x/y/1", Path: a}, {Pointer: "/x/y/0/n", Path: b}},
			`{"x":{"y":[{"n":` + dataB + `},` + dataA + `]},"n":null}`},
		{`{"a/b~c": null, "\u00e9": null}`, []files.Entry{{Pointer: "/a~1b~0c", Path: a}, {Pointer: "/é", Path: b}},
			`{"a/b~c": ` + dataA + `, "\u00e9": ` + dataB + `}`},
		{`{"": null}`, []files.Entry{{Pointer: "/", Path: a}}, `{"": ` + dataA + `}`},
		{`[1, "x"]`, nil, `[1, "x"]`},
	} {
		t.Run(row.output, func(t *testing.T) {
			got, _, err := new(files.Publisher).Publish(t.Context(), &files.Destination{ID: "id"}, json.RawMessage(row.output), row.entries)
			if err != nil || string(got) != row.want {
				t.Errorf("%s, %v\nwant %s", got, err, row.want)
			}
			if len(row.entries) > 0 && cap(got) != len(got) {
				t.Errorf("a buffer of %d bytes for %d", cap(got), len(got))
			}
		})
	}
}

func TestTheNameOfAnEntryIsUsedUnlessItIsAPath(t *testing.T) {
	blob := write(t, filepath.Join(t.TempDir(), "blob.json"), "x")
	for name, want := range map[string]string{
		"": "application/json", "model.glb": "model/gltf-binary", "é.png": "image/png", ".": "application/json", "..": "application/json",
		"../a.png": "application/json", "a/b.png": "application/json", "/a.png": "application/json",
	} {
		got, _, err := new(files.Publisher).Publish(t.Context(), &files.Destination{ID: "id"}, json.RawMessage("null"), []files.Entry{{Path: blob, Name: name}})
		if err != nil || string(got) != `"data:`+want+`;base64,eA=="` {
			t.Errorf("%q: %s, %v", name, got, err)
		}
	}
}

func TestTheMediaTypeComesFromTheNameElseFromTheContents(t *testing.T) {
	for _, row := range []struct{ name, data, want string }{
		{"a.png", "no png", "image/png"},
		{"a.JPG", "", "image/jpeg"},
		{"a.json", "{}", "application/json"},
		{"a.html", "<html>", "text/html"},
		{"a.safetensors", "", "application/octet-stream"},
		{"noname", png, "image/png"},
		{"a.x-unknown", png, "image/png"},
		{"noname", "just text", "application/octet-stream"},
		{"noname", "\x00\x01\x02\x03", "application/octet-stream"},
	} {
		path := write(t, filepath.Join(t.TempDir(), row.name), row.data)
		got, _, err := new(files.Publisher).Publish(t.Context(), &files.Destination{ID: "id"}, json.RawMessage(`null`), []files.Entry{{Path: path}})
		want := `"data:` + row.want + `;base64,` + base64.StdEncoding.EncodeToString([]byte(row.data)) + `"`
		if err != nil || string(got) != want {
			t.Errorf("%s: %s, %v; want %s", row.name, got, err, want)
		}
	}
	path := write(t, filepath.Join(t.TempDir(), "empty"), "")
	got, _, err := new(files.Publisher).Publish(t.Context(), &files.Destination{ID: "id"}, json.RawMessage(`null`), []files.Entry{{Path: path}})
	if err != nil || strings.HasPrefix(string(got), `"data:;`) {
		t.Errorf("an empty file: %s, %v", got, err)
	}
}

func TestLargeFilesAreEncodedExactly(t *testing.T) {
	data := strings.Repeat("0123456789abcdef\xff", 70_001)
	path := write(t, filepath.Join(t.TempDir(), "a.bin"), data)
	got, _, err := new(files.Publisher).Publish(t.Context(), &files.Destination{ID: "id"}, json.RawMessage(`{"x": null}`), []files.Entry{{Pointer: "/x", Path: path}})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"x": "data:application/octet-stream;base64,` + base64.StdEncoding.EncodeToString([]byte(data)) + `"}`; string(got) != want {
		t.Error("the data URL does not hold the file")
	}
}

func TestTemporaryFilesAreRemovedAndOthersAreKept(t *testing.T) {
	for _, output := range []string{`[null, null]`, `[null, 1]`} {
		dir := t.TempDir()
		mine := write(t, filepath.Join(dir, "mine.txt"), "x")
		theirs := write(t, filepath.Join(dir, "theirs.txt"), "x")
		_, _, err := new(files.Publisher).Publish(t.Context(), &files.Destination{ID: "id"}, json.RawMessage(output), []files.Entry{{Pointer: "/0", Path: mine, Temporary: true}, {Pointer: "/1", Path: theirs}})
		if failed := err != nil; failed != (output == `[null, 1]`) {
			t.Errorf("%s: %v", output, err)
		}
		if _, err := os.Stat(mine); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the temporary file is still there: %v", output, err)
		}
		if _, err := os.Stat(theirs); err != nil {
			t.Errorf("%s: %v", output, err)
		}
	}
}

func TestAFileThatCannotBePublishedIsNamed(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "a.txt"), "hello")
	p := &files.Publisher{MaxBytes: 4}
	for _, row := range []struct {
		output string
		entry  files.Entry
		text   string
	}{
		{`{"a": null}`, files.Entry{Pointer: "/a", Path: filepath.Join(dir, "none")}, "output a: read " + dir + "/none: no such file or directory"},
		{`{"a": null}`, files.Entry{Pointer: "/a", Path: dir}, "output a: read " + dir + ": this is not a regular file"},
		{`{"a": null}`, files.Entry{Pointer: "/a", Path: file}, "output a: read " + file + ": the file is larger than the limit of 4 bytes"},
		{`{"a": 1}`, files.Entry{Pointer: "/a", Path: file}, `output: there is no place for the file ` + file + ` at "/a"`},
		{`{"b": null}`, files.Entry{Pointer: "/a", Path: file}, `output: there is no place for the file ` + file + ` at "/a"`},
		{`[null]`, files.Entry{Pointer: "/1", Path: file}, `output: there is no place for the file ` + file + ` at "/1"`},
	} {
		for _, prefix := range []string{"", "http://127.0.0.1:1/"} {
			_, _, err := p.Publish(t.Context(), &files.Destination{ID: "id", URL: prefix}, json.RawMessage(row.output), []files.Entry{row.entry})
			if err == nil || err.Error() != row.text {
				t.Errorf("%s %v: %v\nwant %s", row.output, row.entry, err, row.text)
			}
		}
	}
	for _, broken := range []string{``, `{`, `{"a"`, `{"a": nul`, `[null`, `{"a": null]`} {
		entries := []files.Entry{{Pointer: "/a", Path: file}, {Pointer: "/0", Path: file}}
		if _, _, err := p.Publish(t.Context(), &files.Destination{ID: "id"}, json.RawMessage(broken), entries); err == nil {
			t.Errorf("Publish(%s) succeeded", broken)
		}
	}
}

func TestACanceledPublishReturnsNothing(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "a.txt"), "hello")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, prefix := range []string{"", "http://127.0.0.1:1/"} {
		got, _, err := new(files.Publisher).Publish(ctx, &files.Destination{ID: "id", URL: prefix}, json.RawMessage(`null`), []files.Entry{{Path: path}})
		if got != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("%s, %v", got, err)
		}
	}
}

func BenchmarkPublish64MiB(b *testing.B) {
	path := filepath.Join(b.TempDir(), "a.bin")
	if err := os.WriteFile(path, make([]byte, 64<<20), 0o600); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(64 << 20)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := new(files.Publisher).Publish(b.Context(), &files.Destination{ID: "id"}, json.RawMessage(`null`), []files.Entry{{Path: path}}); err != nil {
			b.Fatal(err)
		}
	}
}
