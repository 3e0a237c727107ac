package queue

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/coggo/coggo/internal/files"
	"github.com/coggo/coggo/internal/prediction"
)

// withFiles returns the end of order-7/b with two files in its output.
func withFiles(t *testing.T) prediction.Snapshot {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	if _, err := file.WriteString("hello, world\n"); err != nil {
		t.Fatal(err)
	}
	p := prediction.New(prediction.Request{
		ID: "order-7/b", Method: prediction.Predict, MaskedInput: json.RawMessage(`{"name":"you"}`),
		CreatedAt: "2026-01-02T03:04:05.000000+00:00",
	}, prediction.Limits{})
	p.Start(time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC))
	p.Finish(prediction.Result{
		Status: prediction.Succeeded, CompletedAt: time.Date(2026, 1, 2, 3, 4, 6, 5e8, time.UTC),
		Output: prediction.Value{Raw: json.RawMessage(`[{"a":},,"b"]`), Inserts: []prediction.Insert{
			{At: 6, Text: files.NewDataURL("text/plain", file, 0, 5)},
			{At: 8, Text: files.NewDataURL("image/png", file, 7, 6)},
		}},
	})
	return p.Final()
}

func TestTheObjectOfAnEndIsReadAndWrittenAsDocumented(t *testing.T) {
	final := withFiles(t)
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	wrote, err := writeEnd(file, final)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadFile(file.Name())
	want, err := os.ReadFile(filepath.Join(golden, "end.object.txt"))
	if err != nil || string(got) != string(want) {
		t.Errorf("wrote %q\nwant  %q, %v", got, want, err)
	}
	_, h, body := readGolden(t, "state.ended.large")
	p, err := payloadOf(h, body)
	if err != nil || p.parts != wrote || p.object.size != int64(len(got)) {
		t.Errorf("the parts of %d bytes are %v\nwant %v, %v", len(got), wrote, p, err)
	}

	end := largeEnd{parts: p.parts, file: file}
	if err := end.readTable(); err != nil {
		t.Fatal(err)
	}
	text, err := end.text()
	if all := string(final.AppendJSON(nil)); err != nil || string(text.Append(nil)) != all {
		t.Errorf("read %s, %v\nwant %s", text.Append(nil), err, all)
	}
	read, err := end.snapshot(true)
	if err != nil || string(read.Input) != `{"name":"you"}` || read.Status != prediction.Succeeded || read.ID != "order-7/b" {
		t.Errorf("read %+v, %v", read, err)
	}
	for _, most := range []int64{0, 1 << 20} {
		output, err := end.value(end.Output, most)
		if shown := string(final.AppendOutput(nil)); err != nil || string(output.Append(nil)) != shown {
			t.Errorf("the output is %s, %v\nwant %s", output.Append(nil), err, shown)
		}
	}
}

func TestAReplayedItemKeepsItsFiles(t *testing.T) {
	output := withFiles(t).Output
	p := begun(1)
	p.Yield(prediction.Value{Raw: json.RawMessage(`{"a":}`), Inserts: []prediction.Insert{{At: 5, Text: output.Inserts[0].Text}}})
	p.Yield(prediction.Value{Raw: json.RawMessage{}, Inserts: []prediction.Insert{{Text: output.Inserts[1].Text}}})
	p.Yield(prediction.Value{Raw: json.RawMessage(`"b"`)})
	end(p)
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	until := p.Past()
	wrote, err := writeEnd(file, until.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	stored := largeEnd{parts: wrote, file: file}
	if err := stored.readTable(); err != nil {
		t.Fatal(err)
	}
	read, err := stored.past(recordOf(until, 1, mostRecord), true)
	if err != nil {
		t.Fatal(err)
	}
	got, err := read.ended(p.Request, 1, 10)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := told(t, got, 0), told(t, p, 0); a != b {
		t.Errorf("%s\nwant\n%s", a, b)
	}
}

func TestThePartsOfAnEndMustFit(t *testing.T) {
	for name, end := range map[string]parts{
		"text":   {Text: span{0, 11}, Input: span{1, 1}, Output: span{2, 1}},
		"input":  {Text: span{0, 10}, Input: span{-1, 1}, Output: span{2, 1}},
		"order":  {Text: span{0, 10}, Input: span{3, 2}, Output: span{2, 1}},
		"length": {Text: span{0, 10}, Input: span{1, 1}, Output: span{2, -1}},
		"sum":    {Text: span{0, 10}, Input: span{1, 1}, Output: span{2, 1<<63 - 1}},
		"files":  {Text: span{0, 9}, Input: span{1, 1}, Output: span{2, 1}, Files: span{9, 2}},
	} {
		b := &broker{}
		if _, err := b.openEnd(t.Context(), order7, payload{object: object{"x", 10, 10}, parts: end}, true); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

func TestTheObjectOfAnItemHasItsFilesAsTheyAre(t *testing.T) {
	chunk := withFiles(t).Output
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	table, err := writeChunk(file, chunk)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadFile(file.Name())
	if text := string(got[:table.at()]); text != "[{\"a\":hello},world\n,\"b\"]" {
		t.Errorf("wrote %q", text)
	}
	read, err := chunkIn(file, int64(len(got)), table)
	if want := string(chunk.Append(nil)); err != nil || string(read.Append(nil)) != want {
		t.Errorf("read %s, %v\nwant %s", read.Append(nil), err, want)
	}
	for _, bad := range []span{{-1, 2}, {int64(len(got)), 1}, {3, int64(len(got))}, {1, 4}} {
		if _, err := chunkIn(file, int64(len(got)), bad); err == nil {
			t.Errorf("read a table at %v", bad)
		}
	}
}
