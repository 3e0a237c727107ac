package prediction_test

import (
	"encoding/json"
	"os"
	"time"

	"github.com/coggo/coggo/internal/prediction"
)

// A Snapshot is the only JSON of a prediction: answers, lists, webhooks and streams have it.
func ExampleSnapshot() {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)
	p := prediction.New(prediction.Request{
		ID: "greeting", Method: prediction.Predict, CreatedAt: prediction.Time(at),
		Input: json.RawMessage(`{"name": "you"}`), MaskedInput: json.RawMessage(`{"name": "you"}`),
	}, prediction.Limits{})
	p.Start(at)
	p.Log("stdout", []byte("done\n"))
	p.Finish(prediction.Result{
		Status: prediction.Succeeded, CompletedAt: at.Add(time.Second),
		Output: prediction.Value{Raw: json.RawMessage(`"hello you"`)}, Metrics: json.RawMessage(`{"predict_time":1}`),
	})
	p.Publish()
	_, _ = p.Snapshot().WriteTo(os.Stdout)
	// Output:
	// {"id":"greeting","status":"succeeded","input":{"name": "you"},"output":"hello you","error":null,"logs":"done\n","metrics":{"predict_time":1},"created_at":"2026-01-02T03:04:05.678901+00:00","started_at":"2026-01-02T03:04:05.678901+00:00","completed_at":"2026-01-02T03:04:06.678901+00:00"}
}
