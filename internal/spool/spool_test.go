package spool_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/coggo/coggo/internal/spool"
)

const golden = "../../tests/protocol"

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(golden, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func open(t *testing.T) *spool.Dir {
	t.Helper()
	d, err := spool.Open(filepath.Join(t.TempDir(), "spool"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// place puts a golden message into the directory as the runner would.
func place(t *testing.T, d *spool.Dir, from, to string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(d.Path(), to), read(t, from), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFileIDsMatchTheGoldenTable(t *testing.T) {
	var table map[string]string
	if err := json.Unmarshal(read(t, "file-ids.json"), &table); err != nil {
		t.Fatal(err)
	}
	for id, want := range table {
		if got := spool.FileID(id); got != want {
			t.Errorf("FileID(%q) = %q, want %q", id, got, want)
		}
	}
}

func TestRequestIsWrittenLikeTheGoldenOne(t *testing.T) {
	d := open(t)
	err := d.PutRequest(spool.Request{
		ID: "abc", Method: "predict",
		Input:   json.RawMessage(`{"prompt": "hi", "image": "https://example.com/in.png", "seed": 1180591620717411303424}`),
		Files:   []spool.File{{Pointer: "/image", Path: "/tmp/coggo-inputs-1/2/0/in.png"}},
		Context: map[string]string{"user": "u1"}, CreatedAt: "2026-01-02T03:04:05.000001+00:00", StartedAt: "2026-01-02T03:04:05.1+00:00",
		Deadline: "2026-01-02T03:05:05.1+00:00", TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", TraceState: "a=b", Watched: true,
		Server: json.RawMessage(`{"webhook": "https://example.com/hook"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(d.Path(), "request-abc.json"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(got), "1180591620717411303424") {
		t.Error("a large integer was not kept exactly")
	}
	var a, b any
	if err := json.Unmarshal(got, &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(read(t, "request.json"), &b); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("wrote %s", got)
	}
}

func TestRequestIsReadBack(t *testing.T) {
	d := open(t)
	place(t, d, "request.json", "request-abc.json")
	r, ok, err := d.Request("abc")
	if err != nil || !ok || r.ID != "abc" || len(r.Files) != 1 || string(r.Server) != `{"webhook": "https://example.com/hook"}` {
		t.Errorf("got %+v, %v, %v", r, ok, err)
	}
}

func TestAnsweredSeesAResponseWithinSixteenLooks(t *testing.T) {
	d := open(t)
	for i := range 40 {
		answered := d.Answered("abc")
		for range i {
			if answered() {
				t.Fatal("it is not there")
			}
		}
		place(t, d, "request.json", "request-other.json") // the directory changes and there is still no answer
		if answered() {
			t.Fatal("it is not there")
		}
		draft, final := filepath.Join(d.Path(), ".tmp", "response"), filepath.Join(d.Path(), "response-abc.json")
		if err := errors.Join(os.WriteFile(draft, nil, 0o600), os.Rename(draft, final)); err != nil {
			t.Fatal(err)
		}
		for looks := 1; !answered(); looks++ {
			if looks == 16 { // some file systems stamp a change by the clock's tick
				t.Fatalf("not seen after %d looks and then %d", i, looks)
			}
		}
		if err := os.Remove(final); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCancelAndHealthAreWrittenLikeTheGoldenOnes(t *testing.T) {
	d := open(t)
	if err := d.PutCancel("abc", "client"); err != nil {
		t.Fatal(err)
	}
	if err := d.PutHealth(7); err != nil {
		t.Fatal(err)
	}
	for wrote, want := range map[string]string{"cancel-abc.json": "cancel.json", "health/request.json": "health.request.json"} {
		var a, b any
		data, err := os.ReadFile(filepath.Join(d.Path(), wrote))
		if err != nil {
			t.Fatal(err)
		}
		if json.Unmarshal(data, &a) != nil || json.Unmarshal(read(t, want), &b) != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("%s: wrote %s", wrote, data)
		}
	}
}

func TestGoldenResponsesAreRead(t *testing.T) {
	for name, check := range map[string]func(d *spool.Dir, r spool.Response) bool{
		"response.succeeded.json": func(d *spool.Dir, r spool.Response) bool {
			return string(r.Output) == `{"z": 1180591620717411303424, "image": null, "mesh": null, "a": 1.0}` && r.Files[0].Path == "/tmp/out.png" && r.Files[0].Temporary &&
				r.Files[1].Name == "model.glb" && r.Files[1].Path == "/cache/blobs/1960" && !r.Files[1].Temporary
		},
		"response.streamed.json": func(d *spool.Dir, r spool.Response) bool { return r.Streamed && r.Status == "succeeded" },
		"response.failed.json": func(d *spool.Dir, r spool.Response) bool {
			return r.Error == "" && strings.Contains(r.Traceback, "ValueError")
		},
		"response.canceled.json": func(d *spool.Dir, r spool.Response) bool {
			return r.Status == "canceled" && string(r.Metrics) == `{"predict_time": 1.5}`
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t)
			place(t, d, name, "response-abc.json")
			r, ok, err := d.Response("abc")
			if err != nil || !ok || r.ID != "abc" || r.CompletedAt.IsZero() || !check(d, r) {
				t.Errorf("got %+v, %v, %v", r, ok, err)
			}
		})
	}
}

func TestLargeOutputIsReadFromItsFile(t *testing.T) {
	d := open(t)
	place(t, d, "response.large.json", "response-abc.json")
	if ended, err := d.Ended("abc"); !ended || err != nil {
		t.Errorf("the runner has ended it, wherever its output is: %v, %v", ended, err)
	}
	if _, _, err := d.Response("abc"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the output is missing, but the error says %v", err)
	}
	if err := os.MkdirAll(d.Outputs("abc"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.Outputs("abc"), "output.json"), []byte(`[1,2]`), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, ok, err := d.Response("abc"); err != nil || !ok || string(r.Output) != `[1,2]` {
		t.Errorf("got %+v, %v, %v", r, ok, err)
	}
}

func TestAMissingFileIsNotAnError(t *testing.T) {
	d := open(t)
	if _, ok, err := d.Response("abc"); ok || err != nil {
		t.Errorf("response: %v, %v", ok, err)
	}
	if _, ok, err := d.SetupResult(); ok || err != nil {
		t.Errorf("setup result: %v, %v", ok, err)
	}
	if events, _, err := d.Events("abc").Next(); events != nil || err != nil {
		t.Errorf("events: %v, %v", events, err)
	}
}

func TestGoldenSetupResultsAreRead(t *testing.T) {
	d := open(t)
	place(t, d, "setup-result.failed.json", "setup-result.json")
	r, ok, err := d.SetupResult()
	if err != nil || !ok || r.Status != "failed" || r.Error != "weights missing" || !strings.Contains(r.Traceback, "predict.py") || r.MaxConcurrency != 8 ||
		r.Stage != "setup" || r.Failure != "raised" || r.Refused() || r.Batch == nil || *r.Batch != (spool.Batch{MaxSize: 8, Wait: 0.005}) {
		t.Errorf("got %+v, %v, %v", r, ok, err)
	}
	overwrite := func(text string) {
		if err := os.WriteFile(filepath.Join(d.Path(), "setup-result.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overwrite(`{"protocol": 1, "status": "failed", "stage": "setup", "error": "weights missing"}`)
	if r, ok, err := d.SetupResult(); err != nil || !ok || r.Refused() || r.Error != "weights missing" {
		t.Errorf("a runner that does not say the kind of failure: %+v, %v, %v", r, ok, err)
	}
	overwrite(`{"protocol": 1, "status": "failed", "stage": "import", "failure": "refused", "error": "no such file"}`)
	if r, ok, err := d.SetupResult(); err != nil || !ok || !r.Refused() {
		t.Errorf("a model that the runner refuses: %+v, %v, %v", r, ok, err)
	}
	overwrite(`{"protocol": 99}`)
	if _, ok, err := d.SetupResult(); ok || err == nil {
		t.Error("a runner of another protocol was accepted")
	}
}

func TestEventsAreReadLineByLineAsTheyGrow(t *testing.T) {
	d := open(t)
	path := filepath.Join(d.Path(), "events-abc.jsonl")
	whole := read(t, "events.jsonl")
	reader := d.Events("abc")
	defer reader.Close()
	var got []spool.Event
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, b := range whole {
		if _, err := f.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
		events, _, err := reader.Next()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, events...)
	}
	if len(got) != 7 {
		t.Fatalf("got %d events", len(got))
	}
	if string(got[0].Chunk) != `"Hel"` || got[1].Files[0].Path != filepath.Join(d.Path(), "outputs/abc/0/mask.png") {
		t.Errorf("outputs: %+v", got[:2])
	}
	if got[2].Data != "step 1\n" || got[3].Data != "\x00 café 😀" || got[3].Source != "stderr" || got[3].Copy || !got[4].Copy {
		t.Errorf("logs: %+v", got[2:5])
	}
	if got[5].Key != "tokens" || string(got[5].Total) != "3" || string(got[6].Value) != "null" {
		t.Errorf("metrics: %+v", got[5:])
	}
}

func TestABrokenLineDoesNotHideTheOthers(t *testing.T) {
	d := open(t)
	text := `{"type":"log","data":"a"}` + "\nnonsense\n" + `{"type":"log","data":"b"}` + "\n"
	if err := os.WriteFile(filepath.Join(d.Path(), "events-abc.jsonl"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	reader := d.Events("abc")
	defer reader.Close()
	events, _, err := reader.Next()
	if err == nil || len(events) != 2 {
		t.Errorf("got %v, %v", events, err)
	}
}

func TestRemoveLeavesNothing(t *testing.T) {
	d := open(t)
	for _, id := range []string{"abc", "../../x"} {
		if err := d.PutRequest(spool.Request{ID: id}); err != nil {
			t.Fatal(err)
		}
		if err := d.PutCancel(id, "client"); err != nil {
			t.Fatal(err)
		}
		place(t, d, "response.succeeded.json", "response-"+spool.FileID(id)+".json")
		place(t, d, "events.jsonl", "events-"+spool.FileID(id)+".jsonl")
		if err := os.MkdirAll(filepath.Join(d.Outputs(id), "0"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := d.Remove(id, false); err != nil {
			t.Fatal(err)
		}
	}
	err := filepath.WalkDir(d.Path(), func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			t.Errorf("left: %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestListSeesTheKindsOfFiles(t *testing.T) {
	d := open(t)
	place(t, d, "request.json", "request-abc.json")
	place(t, d, "response.failed.json", "response-abc.json")
	place(t, d, "events.jsonl", "events-other.jsonl")
	place(t, d, "cancel.json", ".tmp/response-half.json")
	l, err := d.List()
	if err != nil || !l.Responses["abc"] || len(l.Responses) != 1 || !l.Events["other"] || len(l.Requests) != 1 {
		t.Errorf("got %+v, %v", l, err)
	}
}

func TestASecondServerIsRefused(t *testing.T) {
	dir := t.TempDir()
	lock, err := spool.TakeLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := spool.TakeLock(dir); err == nil || !strings.Contains(err.Error(), "in use by another server") {
		t.Errorf("second lock: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := spool.TakeLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}

func TestALockOutlivesTheDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	lock, err := spool.TakeLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	refused := func() {
		t.Helper()
		if _, err := spool.TakeLock(dir); !errors.As(err, new(*spool.InUseError)) {
			t.Errorf("second lock: %v", err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "linux" {
		refused()
	}
	if err := lock.Renew(); err != nil {
		t.Fatal(err)
	}
	refused()
	if err := os.Remove(filepath.Join(dir, "lock")); err != nil {
		t.Fatal(err)
	}
	if _, err := spool.TakeLeftLock(dir); err == nil {
		t.Error("a lock that did not exist was taken for a leftover one")
	}
}

func TestTheKeyIsMadeOnce(t *testing.T) {
	d := open(t)
	if _, ok, err := d.Key(); ok || err != nil {
		t.Fatalf("%v, %v", ok, err)
	}
	for _, key := range []string{"first", "second"} {
		if err := d.PutKey([]byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	if key, ok, err := d.Key(); string(key) != "first" || !ok || err != nil {
		t.Errorf("%q, %v, %v", key, ok, err)
	}
}

func TestARequestBecomesAJournalEntryAndItsFileIsRemoved(t *testing.T) {
	d := open(t)
	j, err := d.Journal(spool.Queued)
	if err != nil {
		t.Fatal(err)
	}
	server := `{"a": "<&>\u2028",  "b": 1e0}`
	if err := d.PutRequest(spool.Request{ID: "a/b", Server: json.RawMessage(server)}); err != nil {
		t.Fatal(err)
	}
	if rest := spool.RestOf(d.Path()); !rest.Unfinished || rest.Owed || rest.Results {
		t.Errorf("%+v", rest)
	}
	if err := j.Take(d, "a/b", "run"); err != nil {
		t.Fatal(err)
	}
	if l, err := d.List(); err != nil || len(l.Requests) != 0 || !j.Has("run") {
		t.Errorf("%+v, %v", l, err)
	}
	if err := j.Each(func(entry []byte) error {
		if !strings.Contains(string(entry), server) {
			t.Errorf("%s", entry)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := j.Take(d, "a/b", "run"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a request that is not there: %v", err)
	}
}

func TestFilesArePrivateToTheUser(t *testing.T) {
	d := open(t)
	if err := d.PutRequest(spool.Request{ID: "abc"}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{d.Path(): 0o700, filepath.Join(d.Path(), "request-abc.json"): 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v (%v)", path, info.Mode(), want, err)
		}
	}
}

func TestTheJournalKeepsEntriesUntilTheyAreRemoved(t *testing.T) {
	d := open(t)
	j, err := d.Journal(spool.Outbox)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a", "b/c"} {
		if err := j.Put(id, []byte(`{"id":"`+id+`"}`)); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Remove("a"); err != nil {
		t.Fatal(err)
	}
	var entries []string
	if err := j.Each(func(entry []byte) error { entries = append(entries, string(entry)); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 || entries[0] != `{"id":"b/c"}` || j.Has("a") || !j.Has("b/c") {
		t.Errorf("entries = %v", entries)
	}
}
