package supervisor

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/coggo/coggo/internal/prediction"
)

// entry01 is an entry as version 0.1 wrote it. Later versions have to read it.
const entry01 = `{"id":"a/ö","method":"train","webhook":"https://example.com/?a=1&b=<2>",` +
	`"webhook_events_filter":[],"output_file_prefix":"https://example.com/out","context":{"user":"u1"},` +
	`"created_at":"2026-01-02T03:04:05Z","traceparent":"00-1-2-01","tracestate":"a=b","cancel_after":5000000000,` +
	`"unknown":["sead"],"detached":true,"sealed":"ab12","output_at":17,"input":{"n": 1.0},"echo":{"n":"***"},` +
	`"more":{"model":"m"},"run":"r1","final":{"status":"succeeded"}}`

func entryOf01() prediction.Entry {
	return prediction.Entry{
		Request: prediction.Request{
			Input: json.RawMessage(`{"n": 1.0}`), MaskedInput: json.RawMessage(`{"n":"***"}`), Extra: json.RawMessage(`{"model":"m"}`),
			ID: "a/ö", Method: prediction.Train, Webhook: "https://example.com/?a=1&b=<2>", WebhookEvents: []prediction.WebhookEvent{},
			OutputPrefix: "https://example.com/out", Context: map[string]string{"user": "u1"},
			CreatedAt: "2026-01-02T03:04:05Z", TraceParent: "00-1-2-01", TraceState: "a=b",
			CancelAfter: 5 * time.Second, Sealed: "ab12", Detached: true,
		},
		Run: "r1", OutputAt: 17, Unknown: []string{"sead"},
		Final: json.RawMessage(`{"status":"succeeded"}`),
	}
}

func TestAnEntryOfTheFirstVersionIsRead(t *testing.T) {
	got, _, err := readEntry([]byte(entry01))
	if err != nil || !reflect.DeepEqual(got, entryOf01()) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, entryOf01())
	}
}

func TestAnEntryIsReadAsItWasWritten(t *testing.T) {
	for name, want := range map[string]prediction.Entry{
		"everything": entryOf01(),
		"little":     {Run: "r1"},
		"all events": {Run: "r1", Request: prediction.Request{ID: "x", Webhook: "http://localhost"}},
	} {
		t.Run(name, func(t *testing.T) {
			want.Final = nil // spool.Journal.PutEnd writes it
			got, _, err := readEntry(want.Encode().Bytes())
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, want)
			}
		})
	}
}

func TestEachMemberOfARequestIsInTheJournal(t *testing.T) {
	elsewhere := map[string]bool{
		"Input": true, "MaskedInput": true, "Extra": true, // written separately
		"Strays": true, "Patient": true, "Followed": true, // not needed once a prediction is accepted
		"Model": true, "Version": true, // the subject of a message of a queue has the model
	}
	for f := range reflect.TypeFor[prediction.Request]().Fields() {
		if name := f.Tag.Get("json"); name == "" || (name == "-") != elsewhere[f.Name] {
			t.Errorf("%s: give it a JSON name, or add it to the members that the journal does not need", f.Name)
		}
	}
}

func BenchmarkEncodeEntry(b *testing.B) {
	n := prediction.NewEntry(prediction.Request{ID: prediction.NewID(), Method: prediction.Predict, CreatedAt: "2026-01-02T03:04:05.678901+00:00", Input: json.RawMessage(`{"name": "you"}`)}, "01hx0000000000000000000000")
	for b.Loop() {
		n.Encode()
	}
}
