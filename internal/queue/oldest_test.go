package queue

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/schema"
	"github.com/coggo/coggo/internal/supervisor"
)

// The oldest form of the messages that is supported: docs/protocol.md says what readers take for
// what it leaves out.

func TestAStateOfTheOldestFormHasItsAttemptAsTurn(t *testing.T) {
	for name, kind := range map[string]stateKind{
		"state.claimed": claimed, "state.returned": returned, "state.ended": ended,
	} {
		t.Run(name, func(t *testing.T) {
			subject, h, body := readGolden(t, "oldest/"+name)
			want := stateOfRun(kind)
			want.turn, want.host, want.body = want.attempt, "", body
			got, err := stateOf(subject, 9, h, body)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("read %+v, %v\nwant %+v", got, err, want)
			}
		})
	}
}

func TestARequestOfTheOldestFormIsRead(t *testing.T) {
	subject, h, body := readGolden(t, "oldest/request")
	want := asked{place: order7, seq: 9, run: "r1", after: 17, payload: payload{body: body}}
	if got, err := askedOf(subject, 9, h, body); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, %v\nwant %+v", got, err, want)
	}
}

func TestACancelOfTheOldestFormChangesNoSequence(t *testing.T) {
	subject, h, _ := readGolden(t, "oldest/cancel")
	j := &job{claim: stateOfRun(claimed)}
	j.hearCancel(nil, &nats.Msg{Subject: subject, Header: h})
	j.takeNoted()
	if want := stateOfRun(claimed); !reflect.DeepEqual(j.claim, want) || j.canceled != supervisor.ByClient {
		t.Errorf("the claim is %+v, canceled by %q", j.claim, j.canceled)
	}
}

func TestAModelOfTheOldestFormHasNoLimitAndIsOlderThanOthers(t *testing.T) {
	_, _, body := readGolden(t, "oldest/model")
	var read modelEntry
	if err := json.Unmarshal(body, &read); err != nil || read.Files != 0 || read.Name != "acme/hello" {
		t.Errorf("read %+v, %v", read, err)
	}
	if !(schema.Model{Since: read.Since}).Since.Before(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) {
		t.Errorf("it is newer than one with a time: %v", read.Since)
	}
}

func TestAMirrorTakesEventsOfTheOldestFormFromTheAttemptThatItKnows(t *testing.T) {
	subject, h, body := readGolden(t, "oldest/events")
	for name, row := range map[string]struct {
		change func(m *mirror)
		last   int
	}{
		"this attempt":        {func(*mirror) {}, 4},
		"another attempt":     {func(m *mirror) { m.turn = 3 }, 1},
		"nobody has the run":  {func(m *mirror) { m.owner = "" }, 1},
		"another run":         {func(m *mirror) { m.run = "r2" }, 1},
		"no claim is known":   {func(m *mirror) { m.turn, m.owner = 0, "" }, 1},
		"nobody follows them": {func(m *mirror) { m.over = true }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := hears(t)
			row.change(m)
			m.hearEvents(&nats.Msg{Subject: subject, Header: h, Data: body})
			if last := m.prediction.LastEvent(); last != row.last {
				t.Errorf("the last event is %d", last)
			}
		})
	}
}

func TestAMirrorEndsWithAnEndOfTheOldestForm(t *testing.T) {
	m, hear := hears(t)
	m.q.broker, m.q.mirrors.all, m.q.mirrors.latest = &broker{}, map[string]*mirror{}, map[string]*mirror{}
	m.q.ctx = t.Context()
	hear("2")
	subject, h, body := readGolden(t, "oldest/state.ended")
	h.Set("Nats-Sequence", "9")
	m.hear(&nats.Msg{Subject: subject, Header: h, Data: body})
	if status := m.prediction.Status(); status != prediction.Succeeded {
		t.Errorf("it is %s", status)
	}
}

// Each row is a state that no version has written: to take it for one without a run, or for one
// that a worker runs, would let somebody wait for ever.
func TestAStateThatDoesNotSayWhatItIsOfIsNotRead(t *testing.T) {
	for header, value := range map[string]string{
		headerRun: "", headerState: "", headerAttempt: "", headerTurn: "two", headerFormat: "2",
	} {
		subject, h, body := readGolden(t, "state.claimed")
		h.Set(header, value)
		if s, err := stateOf(subject, 9, h, body); err == nil {
			t.Errorf("%s %q: read %+v", header, value, s)
		}
	}
	subject, h, body := readGolden(t, "state.claimed")
	h.Set(headerState, "paused")
	if s, err := stateOf(subject, 9, h, body); err == nil {
		t.Errorf("a state of an unknown kind: read %+v", s)
	}
}
