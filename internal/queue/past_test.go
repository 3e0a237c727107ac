package queue

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/coggo/coggo/internal/prediction"
)

// at is when predictions of these tests start.
var at = time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC)

func TestARecordIsReadAndWrittenAsDocumented(t *testing.T) {
	p := begun(2)
	p.Yield(prediction.Value{Raw: json.RawMessage(`"Once "`)})
	p.Yield(prediction.Value{Raw: json.RawMessage(`"upon"`)})
	p.Log("stderr", []byte("warning\n"))
	p.Record(prediction.Metric{
		Name: "tokens", Value: json.RawMessage("1"), Mode: "increment", Key: "tokens", Total: json.RawMessage("4"),
	})
	for _, name := range []string{"state.ended.events", "past"} {
		t.Run(name, func(t *testing.T) {
			if name == "state.ended.events" {
				end(p)
			}
			_, h, data := readGolden(t, name)
			got, err := payloadOf(h, data)
			if err != nil {
				t.Fatal(err)
			}
			until := p.Past()
			until.Events, until.First = until.Events[2:], until.First+2 // the rest was dropped
			if wrote := recordOf(until, 2, largeBody); string(wrote) != string(got.record) {
				t.Errorf("wrote %s\nwant  %s", wrote, got.record)
			}
			m := nats.NewMsg("x")
			got.fill(m)
			if string(m.Data) != string(data) || m.Header.Get(headerEvents) != h.Get(headerEvents) {
				t.Errorf("wrote %v %s", m.Header, m.Data)
			}
		})
	}
}

// begun is a prediction of a turn that has started.
func begun(turn int) *prediction.Prediction {
	p := prediction.New(prediction.Request{
		ID: "order-7/b", Method: prediction.Predict, MaskedInput: json.RawMessage("{}"), Lease: &prediction.Lease{Turn: turn},
		CreatedAt: "2026-01-02T03:04:05.000000+00:00",
	}, prediction.Limits{History: 1 << 20})
	p.Start(at)
	return p
}

func end(p *prediction.Prediction) {
	p.Finish(prediction.Result{Status: prediction.Succeeded, Streamed: true, CompletedAt: at.Add(time.Second)})
	p.Publish()
}

// runs are what predictions have done.
var runs = map[string]func(p *prediction.Prediction){
	"nothing": func(*prediction.Prediction) {},
	"items, logs and metrics": func(p *prediction.Prediction) {
		for i := range 5 {
			p.Yield(prediction.Value{Raw: fmt.Appendf(nil, `{"n": %d}`, i*i*i)})
			p.Log("stdout", fmt.Appendf(nil, "é %d\n", i))
			p.Record(prediction.Metric{Name: "m", Mode: "replace", Key: "m", Value: json.RawMessage("1"), Total: fmt.Append(nil, i)})
		}
	},
	"logs alone, without a line end": func(p *prediction.Prediction) { p.Log("stdout", []byte("é")) },
	"a character in two events": func(p *prediction.Prediction) {
		p.Log("stdout", []byte("\xc3"))
		p.Log("stdout", []byte("\xa9 and on"))
	},
	"logs that are not text": func(p *prediction.Prediction) {
		p.Log("stderr", []byte("a\xff"))
		p.Log("stdout", []byte("\xfeb\n"))
		p.Yield(prediction.Value{Raw: json.RawMessage(`"x"`)})
	},
}

// told are the events of a prediction as a reader gets them, with what it is told to have missed.
func told(t *testing.T, p *prediction.Prediction, after int) string {
	t.Helper()
	var b strings.Builder
	events, lost, _ := p.After(after)
	fmt.Fprintln(&b, "lost", lost)
	for _, e := range events {
		fmt.Fprint(&b, e.Number, e.Kind, " ")
		if err := e.WriteData(&b); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&b)
	}
	b.Write(p.Snapshot().AppendJSON(nil))
	return b.String()
}

// reread is a prediction as another process reads it.
func reread(t *testing.T, p *prediction.Prediction, turn, most int) past {
	t.Helper()
	until := p.Past()
	s, err := inMemory(until.AppendJSON(nil), recordOf(until, turn, most))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAnEndReplaysTheEventsOfItsRun(t *testing.T) {
	for name, run := range runs {
		for _, turn := range []int{1, 2} {
			t.Run(fmt.Sprint(name, turn), func(t *testing.T) {
				p := begun(turn)
				run(p)
				end(p)
				read := reread(t, p, turn, largeBody)
				got, err := read.ended(p.Request, turn, 1<<20)
				if err != nil {
					t.Fatal(err)
				}
				for after := p.Past().Before; after < p.LastEvent(); after++ {
					if a, b := told(t, got, after), told(t, p, after); a != b {
						t.Fatalf("after %d\n%s\nwant\n%s\n%s", after, a, b, read.record)
					}
				}
			})
		}
	}
}

func TestARecordThatDoesNotFitLosesItsOldestEvents(t *testing.T) {
	for name, run := range runs {
		p := begun(2)
		run(p)
		end(p)
		whole := len(recordOf(p.Past(), 2, largeBody))
		for most := recordRoom; most < recordRoom+whole; most++ {
			got, err := reread(t, p, 2, most).ended(p.Request, 2, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			_, lost, _ := got.After(0)
			events, _, _ := got.After(0)
			if first := p.LastEvent() + 1 - len(events); lost != 0 && events[0].Number != first {
				t.Fatalf("%s: it begins at %d, want %d", name, events[0].Number, first)
			}
			after := events[0].Number - 1
			if a, b := told(t, got, after), told(t, p, after); a != b {
				t.Fatalf("%s in %d bytes\n%s\nwant\n%s", name, most, a, b)
			}
		}
	}
}

func TestAPredictionWithoutEventsHasNoRecord(t *testing.T) {
	p := begun(1)
	p.Finish(prediction.Result{Status: prediction.Succeeded, Output: prediction.Value{Raw: json.RawMessage(`"x"`)}})
	p.Publish()
	if record := recordOf(p.Past(), 1, largeBody); record != nil {
		t.Errorf("it has %s", record)
	}
	unrun := prediction.New(p.Request, prediction.Limits{})
	unrun.Finish(prediction.Result{Status: prediction.Canceled})
	unrun.Publish()
	if record := recordOf(unrun.Past(), 1, largeBody); record != nil {
		t.Errorf("one that did not start has %s", record)
	}
}

func TestAReaderGoesOnWithWhatAnotherProcessKnows(t *testing.T) {
	for name, run := range runs {
		t.Run(name, func(t *testing.T) {
			p := begun(1)
			run(p)
			shadow := prediction.New(p.Request, prediction.Limits{})
			if _, err := reread(t, p, 1, largeBody).play(shadow, 1); err != nil {
				t.Fatal(err)
			}
			mirror := begun(1)
			mirror.Adopt(shadow)
			for _, one := range []*prediction.Prediction{p, mirror} {
				one.Yield(prediction.Value{Raw: json.RawMessage(`"more"`)})
				one.Log("stdout", []byte("more"))
			}
			if a, b := told(t, mirror, 0), told(t, p, 0); a != b {
				t.Errorf("%s\nwant\n%s", a, b)
			}
		})
	}
}

func TestADamagedRecordIsAnError(t *testing.T) {
	p := begun(1)
	runs["items, logs and metrics"](p)
	end(p)
	for _, record := range []string{
		"x", "{", `{"first":1,"events":[{}, "x"]}`, `{"first":1,"item_at":1,"events":[1000]}`, `{"first":1,"events":[-1]}`,
		`{"first":1,"log_at":-1,"events":[]}`, `{"first":1,"log_at":1000,"events":[]}`, `{"first":2,"items":1,"item_at":0,"events":[]}`,
		`{"first":2,"items":1,"item_at":1000,"events":[]}`, `{"first":1,"events":[{"kind":"log","len":1000}]}`,
	} {
		s := reread(t, p, 1, largeBody)
		s.record = []byte(record)
		if _, err := s.ended(p.Request, 1, 10); err == nil {
			t.Errorf("%s was read", record)
		}
	}
}
