package queue

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/coggo/coggo/internal/prediction"
)

// running is a prediction that has started.
func running() *prediction.Prediction {
	p := prediction.New(prediction.Request{ID: "order-7/b", Method: prediction.Predict}, prediction.Limits{History: 10})
	p.Start(time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC))
	return p
}

func TestEventsAreReadAndWrittenAsDocumented(t *testing.T) {
	p := running()
	p.Yield(prediction.Value{Raw: json.RawMessage(`"Once "`)})
	p.Log("stderr", []byte("warning\n"))
	p.Record(prediction.Metric{
		Name: "tokens", Value: json.RawMessage("1"), Mode: "increment", Key: "tokens", Total: json.RawMessage("4"),
	})
	events, _, _ := p.After(1)
	var batch []event
	for _, e := range events {
		batch = append(batch, eventOf(e))
	}
	_, _, want := readGolden(t, "events")
	if wrote := messageOf(batch); wrote != string(want) {
		t.Errorf("wrote %s\nwant %s", wrote, want)
	}
}

// messageOf returns the body of a message with these events.
func messageOf(events []event) string {
	var list []string
	for _, e := range events {
		list = append(list, string(e.append(nil)))
	}
	return "[" + strings.Join(list, ",") + "]"
}

func TestLargeEventsAreReadAndWrittenAsDocumented(t *testing.T) {
	_, _, body := readGolden(t, "events.large")
	want := []event{
		{Kind: prediction.KindOutput, Object: "event-r1-5 1048700 262144", Files: span{1048578, 122}},
		{Kind: prediction.KindLog, Source: "stdout", Object: "event-r1-6 600000 262144"},
	}
	var read []event
	if err := json.Unmarshal(body, &read); err != nil || !reflect.DeepEqual(read, want) {
		t.Errorf("read %+v, %v\nwant %+v", read, err, want)
	}
	if wrote := messageOf(want); wrote != string(body) {
		t.Errorf("wrote %s\nwant %s", wrote, body)
	}
}

// hears returns a mirror of a run, and a function that lets it hear the golden events from a number
// on.
func hears(t *testing.T) (m *mirror, hear func(first string)) {
	m = &mirror{
		q: &Queue{config: Config{Now: time.Now}}, run: "r1", turn: 2, owner: "w1", prediction: running(),
		fed: make(chan struct{}),
	}
	subject, h, body := readGolden(t, "events")
	return m, func(first string) {
		h.Set(headerFirst, first)
		m.hearEvents(&nats.Msg{Subject: subject, Header: h, Data: body})
	}
}

func TestAMirrorTakesEachEventOnce(t *testing.T) {
	m, hear := hears(t)
	hear("2")
	hear("2")
	hear("1") // of which only the first is older
	s := m.prediction.Snapshot()
	got := string(s.AppendJSON(nil))
	if !strings.Contains(got, `"output":["Once "]`) || !strings.Contains(got, `"logs":"warning\n"`) || !strings.Contains(got, `"metrics":{"tokens":4}`) {
		t.Errorf("got %s", got)
	}
	if last := m.prediction.LastEvent(); last != 4 {
		t.Errorf("the last event is %d", last)
	}
	select {
	case <-m.fed:
	default:
		t.Error("those who wait for the events are not told")
	}
}

func TestAMirrorDropsEventsOfAnotherRunOrClaim(t *testing.T) {
	for name, change := range map[string]func(m *mirror){
		"another run":            func(m *mirror) { m.run = "r2" },
		"another turn":           func(m *mirror) { m.turn = 3 },
		"another worker":         func(m *mirror) { m.owner = "w2" },
		"no claim is known":      func(m *mirror) { m.turn, m.owner = 0, "" },
		"nobody follows it more": func(m *mirror) { m.over = true },
	} {
		t.Run(name, func(t *testing.T) {
			m, hear := hears(t)
			change(m)
			hear("2")
			if last := m.prediction.LastEvent(); last != 1 {
				t.Errorf("the last event is %d", last)
			}
		})
	}
}
