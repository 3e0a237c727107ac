package queue

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/coggo/coggo/internal/prediction"
)

const golden = "../../tests/protocol/queue"

// goldenMessage is one file of the golden messages.
type goldenMessage struct {
	Subject string            `json:"subject"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
	Record  json.RawMessage   `json:"record"` // behind the body
}

func readGolden(t *testing.T, name string) (subject string, h nats.Header, body []byte) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(golden, name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var m goldenMessage
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	h = nats.Header{}
	for key, value := range m.Headers {
		h.Set(key, value)
	}
	if string(m.Body) != "null" {
		var flat bytes.Buffer
		if err := json.Compact(&flat, m.Body); err != nil {
			t.Fatal(err)
		}
		if err := json.Compact(&flat, m.Record); m.Record != nil && err != nil {
			t.Fatal(err)
		}
		body = flat.Bytes()
	}
	return m.Subject, h, body
}

// isGolden compares a message with a golden one.
func isGolden(t *testing.T, name string, m *nats.Msg) {
	t.Helper()
	subject, h, body := readGolden(t, name)
	if m.Subject != subject || !reflect.DeepEqual(m.Header, h) || !bytes.Equal(m.Data, body) {
		t.Errorf("%s:\ngot  %s %v %s\nwant %s %v %s", name, m.Subject, m.Header, m.Data, subject, h, body)
	}
}

var order7 = placeOf("acme/hello", "order-7/b")

func stateOfRun(kind stateKind) state {
	return state{
		place: order7, seq: 9, kind: kind, run: "r1", owner: "w1", host: "gpu-1", attempt: 2, turn: 3, input: "5f0c",
		method: prediction.Predict,
	}
}

func TestStatesAreReadAndWrittenAsDocumented(t *testing.T) {
	canceled := stateOfRun(claimed)
	canceled.cancel = "client"
	kept := stateOfRun(claimed)
	kept.kept = true
	large := stateOfRun(ended)
	large.payload = payload{
		object: object{"end-r1-9", 379, 262144},
		parts:  parts{Text: span{0, 301}, Input: span{47, 14}, Output: span{71, 24}, Files: span{301, 78}},
	}
	events := stateOfRun(ended)
	events.turn = 2
	for name, want := range map[string]state{
		"state.claimed": stateOfRun(claimed), "state.claimed.canceled": canceled, "state.claimed.kept": kept,
		"state.returned": stateOfRun(returned),
		"state.ended":    stateOfRun(ended), "state.ended.large": large,
		"state.ended.events": events,
	} {
		t.Run(name, func(t *testing.T) {
			subject, h, body := readGolden(t, name)
			want.body = body
			if at, err := strconv.Atoi(h.Get(headerEvents)); err == nil {
				want.body, want.record = body[:at], body[at:]
			}
			got, err := stateOf(subject, 9, h, body)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("read %+v, %v\nwant %+v", got, err, want)
			}
			isGolden(t, name, want.message())
		})
	}
}

func TestRequestsAreReadAndWrittenAsDocumented(t *testing.T) {
	for name, want := range map[string]asked{
		"request":       {place: order7, seq: 9, run: "r1", after: 17, input: "5f0c"},
		"request.large": {place: order7, seq: 9, run: "r1", input: "5f0c", payload: payload{object: object{"in-r1", 1048576, 262144}}},
	} {
		t.Run(name, func(t *testing.T) {
			subject, h, body := readGolden(t, name)
			want.body = body
			got, err := askedOf(subject, 9, h, body)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("read %+v, %v\nwant %+v", got, err, want)
			}
			isGolden(t, name, want.message())
		})
	}
}

func TestTheBodyOfARequestIsAnEntryOfTheJournal(t *testing.T) {
	_, _, body := readGolden(t, "request")
	entry, err := readEntry(body)
	want := prediction.Entry{Run: "r1", Request: prediction.Request{
		Input: json.RawMessage(`{"name":"you"}`), ID: "order-7/b", Method: prediction.Predict,
		Webhook: "https://example.com/hook", WebhookEvents: []prediction.WebhookEvent{prediction.WebhookCompleted},
		CreatedAt: "2026-01-02T03:04:05.000000+00:00", CancelAfter: 5 * time.Second,
		Deadline: time.Date(2026, 1, 2, 3, 4, 10, 0, time.UTC), Detached: true,
	}}
	if err != nil || !reflect.DeepEqual(entry, want) {
		t.Fatalf("read %+v, %v\nwant %+v", entry, err, want)
	}
	var wrote, golden any
	if json.Unmarshal(entry.Encode().Bytes(), &wrote) != nil || json.Unmarshal(body, &golden) != nil || !reflect.DeepEqual(wrote, golden) {
		t.Errorf("wrote %s\nwant %s", entry.Encode(), body)
	}
}

func TestDirectoryEntriesAreReadAndWrittenAsDocumented(t *testing.T) {
	d := newDirectory(func() time.Time { return time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC) })
	subject, _, body := readGolden(t, "worker")
	d.hear(subject, nil, body)
	want := workerEntry{
		Name: "acme/hello", Worker: "w1", Host: "gpu-1", Version: "1.2.3", Slots: 4, Running: 1, Draining: true,
		At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	if got := d.present("acme/hello"); len(got) != 1 || got[0] != want {
		t.Errorf("read %+v", got)
	}
	if wrote, _ := json.Marshal(want); string(wrote) != string(body) {
		t.Errorf("wrote %s\nwant %s", wrote, body)
	}
	d.hear(subject, nil, nil)
	if got := d.present("acme/hello"); len(got) != 0 {
		t.Errorf("a worker that has gone is still there: %+v", got)
	}
}

func TestTheEntryOfAModelIsReadAndWrittenAsDocumented(t *testing.T) {
	_, _, body := readGolden(t, "model")
	want := modelEntry{
		Name: "acme/hello", OpenAPI: json.RawMessage(`{"openapi":"3.0.2"}`), Python: "3.12.1", Cog: "1.2.3", Files: 64,
		Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	var read modelEntry
	if err := json.Unmarshal(body, &read); err != nil || !reflect.DeepEqual(read, want) {
		t.Errorf("read %+v, %v", read, err)
	}
	if wrote, _ := json.Marshal(want); string(wrote) != string(body) {
		t.Errorf("wrote %s\nwant %s", wrote, body)
	}
}

func TestAWorkerIsToldAsDocumented(t *testing.T) {
	canceled := stateOfRun(claimed)
	canceled.cancel = "client"
	told := canceled.tellCanceled()
	isGolden(t, "cancel", told)
	if got, want := notedIn(told.Header), (state{seq: 9, owner: "w1", turn: 3, cancel: "client"}); !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, want %+v", got, want)
	}
	isGolden(t, "follow", order7.tell("r1", headerFollow, "3"))
}

func TestAMessageOfALaterFormatIsNotRead(t *testing.T) {
	subject, h, body := readGolden(t, "state.claimed")
	h.Set(headerFormat, "2")
	if _, err := stateOf(subject, 1, h, body); err == nil {
		t.Error("a state was read")
	}
	if _, err := askedOf(subject, 1, h, body); err == nil {
		t.Error("a request was read")
	}
}

func TestAnyTextIsOneTokenOfASubject(t *testing.T) {
	for text, want := range map[string]string{
		"abc-DEF_9": "abc-DEF_9", "acme/hello:2": "acme%2Fhello%3A2", "a.b": "a%2Eb", "*": "%2A", ">": "%3E", "a b": "a%20b", "%": "%25",
		"é": "%C3%A9", "\x00": "%00",
	} {
		if got := token(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{"", strings.Repeat("a", 97), strings.Repeat("/", 33)} {
		if got := token(text); got[0] != '=' || len(got) != 65 {
			t.Errorf("%q is %q, want a hash", text, got)
		}
	}
}

func TestAnOldBrokerIsToldFromANewOne(t *testing.T) {
	for version, old := range map[string]bool{
		"2.9.10": true, "2.11.99": true, "1.99.0": true, "2.12.0": false, "2.15.1": false, "v2.12.0-RC.1": false, "3.0.0": false, "": false,
	} {
		if olderThan(version, oldestMajor, oldestMinor) != old {
			t.Errorf("%q: old is not %v", version, old)
		}
	}
}

func TestACursorIsReadAsItWasWritten(t *testing.T) {
	for _, want := range []cursor{{waiting: true}, {waiting: true, before: 77}, {before: 1 << 40}} {
		if got, ok := parseCursor(want.String()); !ok || got != want {
			t.Errorf("%v became %v", want, got)
		}
	}
	if first, ok := parseCursor(""); !ok || !first.waiting || first.before != 0 {
		t.Errorf("the first page begins at %v", first)
	}
	for _, text := range []string{"x", "q!", "77", "é"} {
		if _, ok := parseCursor(text); ok {
			t.Errorf("%q was taken for a cursor", text)
		}
	}
}

func TestTheNextStateExpectsWhatTheBrokerHas(t *testing.T) {
	waiting := asked{place: order7, run: "r2", after: 17}
	for name, row := range map[string]struct {
		narrow bool
		state  state
		want   uint64
	}{
		"nothing has happened":              {false, state{}, 0},
		"the end of a run before":           {false, state{seq: 17, run: "r1"}, 17},
		"a worker has given it back":        {false, state{seq: 21, run: "r2"}, 21},
		"one model: the end is not visible": {true, state{}, 17},
		"one model: it was given back":      {true, state{seq: 21, run: "r2"}, 21},
	} {
		b := &broker{narrow: row.narrow}
		if got := b.expects(waiting, row.state); got != row.want {
			t.Errorf("%s: %d, not %d", name, got, row.want)
		}
	}
}
