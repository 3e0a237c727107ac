package httpapi

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/coggo/coggo/internal/prediction"
)

// streamV1 writes the events in Replicate's form (https://replicate.com/docs/topics/predictions/streaming): `output` with
// the bare text, `logs`, `error`, and `done` with an object that gives the reason of an end other than success.
func (a *API) streamV1(w http.ResponseWriter, r *http.Request) error {
	p, number, err := a.join(w, r)
	if p == nil {
		return err
	}
	e := a.newEventWriter(w)
	items := 0
	aside := func(lost int) { // clients take any event of the name "error" for the end
		if lost > 0 {
			e.comment(strconv.Itoa(lost) + " events were dropped: the history is bounded")
		}
	}
	return a.follow(r, p, number, e, aside, func(ev prediction.Event) {
		switch ev.Kind {
		case prediction.KindOutput:
			items++
			e.text(ev.Number, "output", plainText(ev.Chunk()))
		case prediction.KindLog:
			e.text(ev.Number, "logs", ev.Text())
		case prediction.KindCompleted:
			e.end(ev.Number, p.Snapshot(), items)
		}
	})
}

// end writes what follows the last item. A model that returns one value has it as its only item.
func (e *eventWriter) end(number int, s prediction.Snapshot, items int) {
	if items == 0 && s.OutputLen() > 0 && s.Status == prediction.Succeeded && string(s.Output) != "[]" {
		e.text(number, "output", plainText(s.AppendOutput(nil)))
	}
	switch s.Status {
	case prediction.Failed:
		e.text(number, "error", string(prediction.AppendString([]byte(`{"detail":`), s.Error))+"}")
		e.text(number, "done", `{"reason":"error"}`)
	case prediction.Canceled:
		e.text(number, "done", `{"reason":"canceled"}`)
	default:
		e.text(number, "done", "{}")
	}
}

// text writes an event whose data may have several lines.
func (e *eventWriter) text(number int, name, data string) {
	e.buf = append(e.buf, "event: "...)
	e.buf = append(e.buf, name...)
	e.buf = append(e.buf, "\nid: "...)
	e.buf = strconv.AppendInt(e.buf, int64(number), 10)
	e.buf = append(e.buf, "\ndata: "...)
	for i := range len(data) {
		switch {
		case data[i] == '\r' && i+1 < len(data) && data[i+1] == '\n': // the line ends with the next character
		case data[i] == '\r' || data[i] == '\n':
			e.buf = append(e.buf, "\ndata: "...)
		default:
			e.buf = append(e.buf, data[i])
		}
	}
	e.buf = append(e.buf, "\n\n"...)
}

// plainText is a JSON string's text, or the JSON itself of anything else.
func plainText(value []byte) string {
	var s string
	if json.Unmarshal(value, &s) == nil {
		return s
	}
	return string(value)
}
