package spool_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/coggo/coggo/internal/spool"
)

// FuzzFileID checks that no id leads out of the directory, and that no two ids have the same name.
func FuzzFileID(f *testing.F) {
	for _, seed := range []string{"", "a", "A.b_c-9", "..", "../../x", "~", "~abc", "a\x00b", "a\nb", "é", strings.Repeat("x", 128), strings.Repeat("x", 129)} {
		f.Add(seed, "other")
	}
	f.Fuzz(func(t *testing.T, id, other string) {
		name := spool.FileID(id)
		if name == "" || len(name) > 128 || strings.ContainsAny(name, "/\\\x00\n") || strings.HasPrefix(name, ".") || filepath.Base(name) != name {
			t.Fatalf("FileID(%q) = %q", id, name)
		}
		if id != other && name == spool.FileID(other) {
			t.Fatalf("%q and %q have the name %q", id, other, name)
		}
	})
}

// FuzzEvents checks that a file of any bytes is read without a panic, and that the number of steps
// in which it was written does not matter.
func FuzzEvents(f *testing.F) {
	golden, err := os.ReadFile(filepath.Join(golden, "events.jsonl"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden, 7)
	f.Add([]byte("\n\n{}\n[]\nnull\n{\"type\": \"output\"}\n"), 3)
	f.Add([]byte(`{"type":"log","data":"no end of line"}`), 12)
	f.Add([]byte("{\"type\":\"output\",\"chunk\":1e999,\"files\":[{\"pointer\":\"/\",\"path\":\"../../x\"}]}\n\xff\xfe\n"), 1)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte, cut int) {
		cut = max(0, min(cut, len(data)))
		d, err := spool.Open(filepath.Join(dir, "spool"))
		if err != nil {
			t.Fatal(err)
		}
		whole := eventsOf(t, d, data)
		parts := eventsOf(t, d, data[:cut], data[cut:])
		if !reflect.DeepEqual(whole, parts) {
			t.Fatalf("whole %v, in two steps %v", whole, parts)
		}
		for _, e := range whole {
			if len(e.Chunk) > 0 && !json.Valid(e.Chunk) || len(e.Total) > 0 && !json.Valid(e.Total) {
				t.Fatalf("event %+v", e)
			}
		}
	})
}

// eventsOf reads events while they are written in steps.
func eventsOf(t *testing.T, d *spool.Dir, steps ...[]byte) (found []spool.Event) {
	t.Helper()
	path := filepath.Join(d.Path(), "events-a.jsonl")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(path)
	defer file.Close()
	events := d.Events("a")
	defer events.Close()
	for _, step := range steps {
		if _, err := file.Write(step); err != nil {
			t.Fatal(err)
		}
		for more := true; more; {
			var got []spool.Event
			got, more, _ = events.Next() // a line that is not an event is an error; the others are returned
			found = append(found, got...)
		}
	}
	return found
}

// FuzzResponse checks that a file of any bytes is an error or a response whose parts are JSON.
func FuzzResponse(f *testing.F) {
	for _, name := range []string{"response.succeeded.json", "response.failed.json", "response.streamed.json", "response.large.json"} {
		data, err := os.ReadFile(filepath.Join(golden, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, seed := range []string{``, `null`, `{}`, `[]`, `{"output": 1e999}`, `{"output_path": "../../../etc/passwd"}`, `{"files": [{"path": ""}]}`, "\xff"} {
		f.Add([]byte(seed))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := spool.Open(filepath.Join(dir, "spool"))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(d.Path(), "response-a.json")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(path)
		r, found, err := d.Response("a")
		if err != nil || !found {
			return
		}
		if len(r.Output) > 0 && !json.Valid(r.Output) {
			t.Fatalf("output %q", r.Output)
		}
		if len(r.Metrics) > 0 && !json.Valid(r.Metrics) {
			t.Fatalf("metrics %q", r.Metrics)
		}
	})
}
