package queue

import (
	"encoding/json"
	"time"

	"github.com/coggo/coggo/internal/prediction"
)

// The events of a run go through the broker only while somebody follows it. The broker does not
// store them: the worker has their history, and sends it again to a process that comes late or has
// missed a message. The end contains them too, see past.go.

const (
	headerFollow = "Coggo-Follow" // to a worker, or of a request: send the events after this number
	headerFirst  = "Coggo-First"  // of events: the number of the first one
)

// event is one event of a run on the wire.
type event struct {
	Kind   prediction.Kind `json:"kind"`
	Chunk  json.RawMessage `json:"chunk,omitempty"`  // of output
	Source string          `json:"source,omitempty"` // of log
	Text   []byte          `json:"text,omitempty"`   // of log, in base64: it need not be UTF-8
	Metric *metric         `json:"metric,omitempty"`
	Object string          `json:"object,omitempty"` // the data is large, and in this object
	Files  span            `json:"files,omitzero"`   // of an output in an object: the table of files
	Len    int             `json:"len,omitempty"`    // of log in a record: the text is in the logs
}

// metric is prediction.Metric on the wire.
type metric struct {
	prediction.Metric
	Key   string          `json:"key"`
	Total json.RawMessage `json:"total,omitempty"`
}

func eventOf(e prediction.Event) event {
	out := event{Kind: e.Kind}
	switch e.Kind {
	case prediction.KindOutput:
		out.Chunk = e.Chunk().Append(nil)
	case prediction.KindLog:
		out.Source, out.Text = e.Source(), e.Text()
	case prediction.KindMetric:
		m := e.Metric()
		out.Metric = &metric{m, m.Key, m.Total}
	default: // the kind says it all
	}
	return out
}

// size is about the length of the event on the wire.
func (e event) size() int { return len(e.Chunk) + len(e.Text)*4/3 + 64 }

// append appends the JSON of the event.
func (e event) append(dst []byte) []byte {
	if e.Kind == prediction.KindOutput && len(e.Chunk) > 0 { // a token of a stream, as a rule
		dst = append(append(dst, `{"kind":"output","chunk":`...), e.Chunk...)
		return append(dst, '}')
	}
	data, err := json.Marshal(e)
	if err != nil {
		return append(dst, `{}`...) // a value is JSON already
	}
	return append(dst, data...)
}

// apply adds the event to a prediction. large is the chunk if it is not in the event.
func (e event) apply(p *prediction.Prediction, large prediction.Value, now time.Time) {
	switch e.Kind {
	case prediction.KindStart:
		p.Start(now)
	case prediction.KindOutput:
		if e.Object == "" {
			large.Raw = e.Chunk
		}
		p.Yield(large)
	case prediction.KindLog:
		p.Log(e.Source, e.Text)
	case prediction.KindMetric:
		if e.Metric != nil {
			m := e.Metric.Metric
			m.Key, m.Total = e.Metric.Key, e.Metric.Total
			p.Record(m)
		}
	default: // of the end, which comes as a state
	}
}
