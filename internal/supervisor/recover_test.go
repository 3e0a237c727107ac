package supervisor_test

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/supervisor"
)

// now is the time of the server that recovers.
var now = time.Date(2026, 1, 2, 3, 10, 0, 0, time.UTC)

// Files of an earlier server and its runner, byte by byte. HOOK is the address of a receiver.
const (
	requestX = `{"id": "x", "method": "predict", "files": [], "context": {}, "created_at": "2026-01-02T03:04:05Z",
		"started_at": "2026-01-02T03:04:05.1+00:00", "server": {"detached": true, "run": "r1"}, "input": {"n": 1}}`
	requestHook = `{"id": "x", "method": "predict", "files": [], "context": {}, "created_at": "2026-01-02T03:04:05Z",
		"started_at": "2026-01-02T03:04:05.1+00:00", "server": {"webhook": "HOOK", "detached": true, "run": "r1"}, "input": {"n": 1}}`
	responseX = `{"id": "x", "status": "succeeded", "output": "done", "streamed": false, "files": [],
		"metrics": {"predict_time": 0.5}, "completed_at": "2026-01-02T03:04:06+00:00"}`
	responseStreamed = `{"id": "x", "status": "succeeded", "output": null, "streamed": true, "files": [], "completed_at": "2026-01-02T03:04:06+00:00"}`
	responseLarge    = `{"id": "x", "status": "succeeded", "output": null, "output_path": "outputs/x/output.json", "files": [],
		"completed_at": "2026-01-02T03:04:06+00:00"}`
	eventsX = `{"type": "output", "chunk": "a", "files": []}` + "\n" +
		`{"type": "log", "source": "stdout", "data": "step 1\n"}` + "\n"
	queuedX    = `{"input": {"n": 1}, "id": "x", "method": "predict", "created_at": "2026-01-02T03:04:05Z", "detached": true, "run": "r1"}`
	queuedR2   = `{"input": {"n": 2}, "id": "x", "method": "predict", "created_at": "2026-01-02T03:05:05Z", "detached": true, "run": "r2"}`
	endX       = `{"id": "x", "method": "predict", "created_at": "2026-01-02T03:04:05Z", "detached": true, "run": "r1", "final": {"id":"x","status":"succeeded","input":{"n": 1},"output":"noted","error":null,"logs":"step 1\n","metrics":{},"created_at":"2026-01-02T03:04:05Z","started_at":"2026-01-02T03:04:05.1+00:00","completed_at":"2026-01-02T03:04:06+00:00"}}`
	endHook    = `{"id": "x", "method": "predict", "webhook": "HOOK", "created_at": "2026-01-02T03:04:05Z", "detached": true, "run": "r1", "final": {"id":"x","status":"succeeded","input":{"n": 1},"output":"noted","error":null,"logs":"step 1\n","metrics":{},"created_at":"2026-01-02T03:04:05Z","started_at":"2026-01-02T03:04:05.1+00:00","completed_at":"2026-01-02T03:04:06+00:00"}}`
	endR2      = `{"id": "x", "method": "predict", "created_at": "2026-01-02T03:05:05Z", "detached": true, "run": "r2", "final": {"id":"x","status":"failed","input":{},"output":null,"error":"later","logs":"","metrics":{},"created_at":"2026-01-02T03:05:05Z","started_at":null,"completed_at":"2026-01-02T03:05:06+00:00"}}`
	finalLarge = `{"id":"x","status":"succeeded","input":{},"output":null,"error":null,"logs":"","metrics":{},"created_at":"2026-01-02T03:04:05Z","started_at":null,"completed_at":"2026-01-02T03:04:06+00:00"}`
	endLarge   = `{"id": "x", "method": "predict", "webhook": "HOOK", "created_at": "2026-01-02T03:04:05Z", "run": "r1", "output_at": 51, "final": ` + finalLarge + `}`
)

// end is what a client sees of a prediction. Output is JSON; "runs" is the status of one that the
// runner gets again.
type end struct{ Status, Output, Error, Logs string }

const restarted = "the server restarted before the prediction ended"

var recoveries = []struct {
	name     string
	found    map[string]string // by name, the files that an earlier server and its runner have left
	rerun    bool
	volatile bool     // the directory is only this server's
	retain   int      // -1: nothing
	want     end      // of x; empty: nobody knows it
	told     string   // the status in the terminal webhook; empty: none is sent
	left     []string // what is on disk afterwards, of journals and predictions
}{
	{
		name:  "a request that the runner has not answered fails",
		found: map[string]string{"request-x.json": requestX},
		want:  end{Status: "failed", Error: restarted}, left: []string{"results/r1.json"},
	}, {
		name:  "it keeps the events that the runner has written",
		found: map[string]string{"request-x.json": requestX, "events-x.jsonl": eventsX},
		want:  end{Status: "failed", Output: `["a"]`, Error: restarted, Logs: "step 1\n"}, left: []string{"results/r1.json"},
	}, {
		name:  "it keeps the record of its output",
		found: map[string]string{"request-x.json": requestX, "logs-x.txt": "step 0\n"},
		want:  end{Status: "failed", Error: restarted, Logs: "step 0\n"}, left: []string{"results/r1.json"},
	}, {
		name:  "its receiver is told",
		found: map[string]string{"request-x.json": requestHook},
		want:  end{Status: "failed", Error: restarted}, told: "failed", left: []string{"results/r1.json"},
	}, {
		name:  "with rerun it runs again",
		found: map[string]string{"request-x.json": requestX, "events-x.jsonl": eventsX}, rerun: true,
		want: end{Status: "runs"}, left: []string{"queued/x.json", "request-x.json"},
	}, {
		name:  "an answer that nobody has read is the end",
		found: map[string]string{"request-x.json": requestX, "response-x.json": responseX},
		want:  end{Status: "succeeded", Output: `"done"`}, left: []string{"results/r1.json"},
	}, {
		name:  "an answer is the end with rerun too",
		found: map[string]string{"request-x.json": requestX, "response-x.json": responseX}, rerun: true,
		want: end{Status: "succeeded", Output: `"done"`}, left: []string{"results/r1.json"},
	}, {
		name:  "an answer after events has their output",
		found: map[string]string{"request-x.json": requestX, "response-x.json": responseStreamed, "events-x.jsonl": eventsX},
		want:  end{Status: "succeeded", Output: `["a"]`, Logs: "step 1\n"}, left: []string{"results/r1.json"},
	}, {
		name:  "an output in a file of its own is read",
		found: map[string]string{"request-x.json": requestX, "response-x.json": responseLarge, "outputs/x/output.json": `[1, 2]`},
		want:  end{Status: "succeeded", Output: `[1, 2]`}, left: []string{"results/r1.json"},
	}, {
		name:  "an answer whose output is missing fails",
		found: map[string]string{"request-x.json": requestX, "response-x.json": responseLarge},
		want:  end{Status: "failed", Error: "the model's response could not be read: read output of x: outputs/x/output.json: file does not exist"},
		left:  []string{"results/r1.json"},
	}, {
		name:  "an answer that is not JSON fails, and does not run again",
		found: map[string]string{"request-x.json": requestX, "response-x.json": `{"id": "x"`}, rerun: true,
		want: end{Status: "failed", Error: "the model's response could not be read: read response-x.json: unexpected end of JSON input"},
		left: []string{"results/r1.json"},
	}, {
		name:  "a directory in place of the answer fails",
		found: map[string]string{"request-x.json": requestX, "response-x.json/x": ""},
		want:  end{Status: "failed", Error: "a file of the model process can't be read: response-x.json is a directory, not a regular file"},
		left:  []string{"results/r1.json"},
	}, {
		name:  "one that no runner had runs",
		found: map[string]string{"queued/x.json": queuedX},
		want:  end{Status: "runs"}, left: []string{"queued/x.json", "request-x.json"},
	}, {
		name:  "one that a runner had is not also queued",
		found: map[string]string{"queued/x.json": queuedX, "request-x.json": requestX},
		want:  end{Status: "failed", Error: restarted}, left: []string{"results/r1.json"},
	}, {
		name:  "a result is retained",
		found: map[string]string{"results/r1.json": endX},
		want:  end{Status: "succeeded", Output: `"noted"`, Logs: "step 1\n"}, left: []string{"results/r1.json"},
	}, {
		name:  "a result with its output in a file is retained",
		found: map[string]string{"results/r1.json": endLarge, "results/r1.output": `"much"`},
		want:  end{Status: "succeeded", Output: `"much"`}, left: []string{"results/r1.json", "results/r1.output"},
	}, {
		name:  "a result whose output is missing is unknown",
		found: map[string]string{"results/r1.json": endLarge},
		left:  []string{"results/r1.json"},
	}, {
		name:  "an output without its result is removed",
		found: map[string]string{"results/r1.output": `"much"`},
	}, {
		name:  "an end that was noted counts more than the request",
		found: map[string]string{"results/r1.json": endX, "request-x.json": requestX, "response-x.json": responseX},
		want:  end{Status: "succeeded", Output: `"noted"`, Logs: "step 1\n"}, left: []string{"results/r1.json"},
	}, {
		name:  "a later run of the same id is not the noted one",
		found: map[string]string{"results/r0.json": strings.ReplaceAll(endX, "r1", "r0"), "request-x.json": requestX},
		want:  end{Status: "failed", Error: restarted}, left: []string{"results/r1.json"},
	}, {
		name:  "of two results of an id the later one is retained",
		found: map[string]string{"results/r1.json": endX, "results/r2.json": endR2},
		want:  end{Status: "failed", Error: "later"}, left: []string{"results/r2.json"},
	}, {
		name:  "a webhook that is not delivered is sent, and its result retained",
		found: map[string]string{"outbox/r1.json": endHook, "request-x.json": requestHook},
		want:  end{Status: "succeeded", Output: `"noted"`, Logs: "step 1\n"}, told: "succeeded", left: []string{"results/r1.json"},
	}, {
		name:  "a webhook is sent where no results are retained",
		found: map[string]string{"outbox/r1.json": endHook}, retain: -1,
		told: "succeeded",
	}, {
		name:  "a run whose end is only in the outbox does not run again",
		found: map[string]string{"outbox/r1.json": endHook, "request-x.json": requestHook}, retain: -1, rerun: true,
		told: "succeeded",
	}, {
		name:  "a webhook of an earlier run does not replace the result of a later one",
		found: map[string]string{"outbox/r1.json": endHook, "results/r2.json": endR2},
		want:  end{Status: "failed", Error: "later"}, told: "succeeded", left: []string{"results/r2.json"},
	}, {
		name:  "a request in place of an end fails, and its receiver is told",
		found: map[string]string{"outbox/r1.json": requestHook}, rerun: true,
		want: end{Status: "failed", Error: "the server restarted before the end of the prediction could be recorded"}, told: "failed",
		left: []string{"results/r1.json"},
	}, {
		name:  "what is queued under the id of such a request runs",
		found: map[string]string{"outbox/r1.json": requestHook, "queued/x.json": queuedR2},
		want:  end{Status: "runs"}, told: "failed", left: []string{"queued/x.json", "request-x.json", "results/r1.json"},
	}, {
		name:  "such a webhook with its output in a file is sent, and its result retained",
		found: map[string]string{"outbox/r1.json": endLarge, "outbox/r1.output": `"much"`},
		want:  end{Status: "succeeded", Output: `"much"`}, told: "succeeded", left: []string{"results/r1.json", "results/r1.output"},
	}, {
		name: "damaged files do not hide whole ones",
		found: map[string]string{
			"results/bad.json": `{`, "results/worse.json": `[]`, "queued/bad.json": ``, "outbox/bad.json": `{"final": 3}`,
			"request-bad.json": `{`, "request-lone.json": `{"id": "lone", "input": {}}`, "request-x.json": requestX,
		},
		want: end{Status: "failed", Error: restarted},
		left: []string{"outbox/bad.json", "queued/bad.json", "results/bad.json", "results/r1.json", "results/worse.json"},
	}, {
		name:  "a runner that this server does not have left a request",
		found: map[string]string{"runner-3/request-x.json": requestX, "runner-3/response-x.json": responseX},
		want:  end{Status: "succeeded", Output: `"done"`}, left: []string{"results/r1.json"},
	}, {
		name:  "a directory that no server shares is not recovered",
		found: map[string]string{"request-x.json": requestX, "results/r1.json": endX}, volatile: true,
		left: []string{"results/r1.json"},
	},
}

func TestEachStateOnDiskLeadsToOneEnd(t *testing.T) {
	for _, test := range recoveries {
		t.Run(test.name, func(t *testing.T) {
			told := make(chan string, 16)
			receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				var body struct{ Status prediction.Status }
				if json.NewDecoder(r.Body).Decode(&body) == nil && body.Status.Terminal() {
					told <- string(body.Status)
				}
			}))
			t.Cleanup(receiver.Close)
			c := configured(t)
			c.Durable, c.Rerun, c.Now = !test.volatile, test.rerun, func() time.Time { return now }
			if test.retain < 0 {
				c.Retain = 0
			}
			for name, text := range test.found {
				write(t, c.WorkingDir, name, strings.ReplaceAll(text, "HOOK", receiver.URL))
			}
			f := newFake(t, c)
			f.start()
			f.awaitProcess()
			f.setUp()
			if test.want.Status == "runs" {
				f.awaitFile("request-x.json")
			}
			if got := seen(t, f.s, "x"); got != test.want {
				t.Errorf("x is %+v, not %+v", got, test.want)
			}
			if test.told != "" {
				select {
				case got := <-told:
					if got != test.told {
						t.Errorf("the receiver was told %q, not %q", got, test.told)
					}
				case <-time.After(longest):
					t.Error("the receiver was not told")
				}
			}
			until(t, "other files are left: "+strings.Join(left(t, f.spool), " "), func() bool { return slices.Equal(left(t, f.spool), test.left) })
			if len(told) > 0 {
				t.Errorf("the receiver was told again: %s", <-told)
			}
		})
	}
}

// seen is what a client sees of a prediction.
func seen(t *testing.T, s *supervisor.Supervisor, id string) (e end) {
	t.Helper()
	p, err := s.Get(id)
	if err != nil {
		return e
	}
	var body struct {
		Status, Error, Logs string
		Output              json.RawMessage
	}
	if err := json.Unmarshal(p.Snapshot().AppendJSON(nil), &body); err != nil {
		t.Fatal(err)
	}
	if body.Status == "processing" {
		body.Status = "runs"
	}
	e = end{body.Status, string(body.Output), body.Error, body.Logs}
	if e.Output == "null" {
		e.Output = ""
	}
	return e
}

var ofPredictions = regexp.MustCompile(`^(queued|results|outbox)/|^runner-|^(request|response|events|logs|outputs)[-/]`)

// left are the files of journals and predictions in a working directory.
func left(t *testing.T, dir string) (names []string) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		if err == nil && (!entry.IsDir() || strings.HasPrefix(name, "runner-")) && ofPredictions.MatchString(name) {
			names = append(names, name)
		}
		return nil // a file that is removed meanwhile does not count
	})
	return names
}

func TestAPredictionThatHasRunAgainLeavesItsResultAlone(t *testing.T) {
	for name, text := range map[string]string{"request-x.json": requestX, "queued/x.json": queuedX} {
		t.Run(name, func(t *testing.T) {
			c := configured(t)
			c.Durable, c.Rerun = true, true
			write(t, c.WorkingDir, name, text)
			f := newFake(t, c)
			f.start()
			f.awaitProcess()
			f.setUp()
			f.answer("x", responseX)
			p, err := f.s.Get("x")
			if err != nil || ended(t, p) != prediction.Succeeded {
				t.Fatal(p.Status(), err)
			}
			if names := left(t, f.spool); !slices.Equal(names, []string{"results/r1.json"}) {
				t.Errorf("%v are left", names)
			}
		})
	}
}

func TestARecoveredResultShowsItsInput(t *testing.T) {
	c := configured(t)
	c.Durable, c.Now = true, func() time.Time { return now }
	write(t, c.WorkingDir, "results/r1.json", endX)
	p, err := newFake(t, c).s.Get("x")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(p.Snapshot().Input); got != `{"n": 1}` {
		t.Errorf("the input is %s", got)
	}
}

func TestAResultThatIsTooOldIsForgotten(t *testing.T) {
	c := configured(t)
	c.Durable, c.Now = true, func() time.Time { return now }
	write(t, c.WorkingDir, "results/r1.json", endLarge)
	write(t, c.WorkingDir, "results/r1.output", `"much"`)
	old := now.Add(-c.RetainFor - time.Second)
	if err := os.Chtimes(filepath.Join(c.WorkingDir, "results/r1.json"), old, old); err != nil {
		t.Fatal(err)
	}
	f := newFake(t, c)
	if got := seen(t, f.s, "x"); got != (end{}) {
		t.Errorf("x is %+v", got)
	}
	if names := left(t, f.spool); names != nil {
		t.Errorf("%v are left", names)
	}
}

func TestAServerDoesNotStartIfItCannotReadLeftovers(t *testing.T) {
	c := configured(t)
	c.Durable = true
	write(t, c.WorkingDir, "runner-3", "a file where a runner's directory was")
	_, err := supervisor.New(c)
	if err == nil || !strings.Contains(err.Error(), "recover "+c.WorkingDir) {
		t.Errorf("New returned %v", err)
	}
}

func TestARecoveredPredictionThatNoLongerFitsTheModelFails(t *testing.T) {
	c := configured(t)
	c.Durable = true
	write(t, c.WorkingDir, "queued/x.json", strings.ReplaceAll(queuedX, `{"n": 1}`, `{"n": -1}`))
	f := newFake(t, c)
	f.start()
	f.awaitProcess()
	f.setUp()
	p, err := f.s.Get("x")
	if err != nil {
		t.Fatal(err)
	}
	ended(t, p)
	if got := seen(t, f.s, "x"); got.Status != "failed" || !strings.HasPrefix(got.Error, "the input no longer fits the model: ") {
		t.Errorf("x is %+v", got)
	}
}
