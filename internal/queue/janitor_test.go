package queue

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestAListThatHasFoundNothingExplainsAsManyMessagesFromThenOn(t *testing.T) {
	const key = "coggo.w.m.janitor"
	j := janitor{explained: map[string]int{}}
	for n, step := range []struct {
		untracked int
		list      bool
	}{
		{0, false},
		{2, true}, // of a model that was removed: the list finds nothing
		{2, false},
		{3, true}, // one more may be lost
		{1, false},
		{3, true}, // those that were explained have gone meanwhile
	} {
		list := j.mayHaveLost(key, step.untracked)
		if list != step.list {
			t.Errorf("step %d: list %v with %d messages", n, list, step.untracked)
		}
		if step.untracked == 2 && list {
			j.explained[key] = 2
		}
	}
}

// lossy is a broker whose stream has these messages and whose consumer is gone, so it has lost
// track of all of them.
type lossy struct {
	jetstream.JetStream
	stream *lossyStream
}

func (l lossy) Consumer(context.Context, string, string) (jetstream.Consumer, error) {
	return nil, jetstream.ErrConsumerNotFound
}

func (l lossy) Stream(context.Context, string) (jetstream.Stream, error) {
	return l.stream, nil
}

type lossyStream struct {
	jetstream.Stream
	subjects map[string]uint64
	silent   bool // it does not answer a list
	lists    int
}

func (s *lossyStream) Info(context.Context, ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	s.lists++
	if s.silent {
		return nil, errors.New("no answer")
	}
	return &jetstream.StreamInfo{State: jetstream.StreamState{Subjects: s.subjects}}, nil
}

func (s *lossyStream) CachedInfo() *jetstream.StreamInfo {
	return &jetstream.StreamInfo{State: jetstream.StreamState{Msgs: uint64(len(s.subjects))}}
}

// janitorOf is a janitor of a queue with this broker.
func janitorOf(t *testing.T, stream *lossyStream) *janitor {
	q := &Queue{ctx: t.Context(), broker: &broker{nc: &nats.Conn{}, js: lossy{stream: stream}}}
	q.config.Log = slog.New(slog.DiscardHandler)
	return &janitor{q: q, held: map[string]uint64{}, seen: map[string]glance{}, explained: map[string]int{}}
}

var aChore = chore{stream: askedStream, consumer: "m", filter: "coggo.q.m.>", model: "m"}

func TestAListThatFailedExplainsNothing(t *testing.T) {
	stream := &lossyStream{subjects: map[string]uint64{"coggo.q.m.0.lost": 1}, silent: true}
	j := janitorOf(t, stream)
	if j.do(aChore, 1) {
		t.Error("it looks again soon, although the broker does not answer")
	}
	stream.silent = false
	if !j.do(aChore, 1) {
		t.Error("the next round does not see the message that the broker has lost track of")
	}
	if stream.lists != 2 {
		t.Errorf("%d lists", stream.lists)
	}
}

func TestAJanitorThatTakesOverAConsumerListsItsMessages(t *testing.T) {
	stream := &lossyStream{} // the untracked message is of a consumer that another janitor has
	j := janitorOf(t, stream)
	j.do(aChore, 1)
	if j.do(aChore, 1); stream.lists != 1 {
		t.Errorf("%d lists of what one list has explained", stream.lists)
	}
	taken := aChore
	taken.consumer = "other"
	stream.subjects = map[string]uint64{"coggo.q.other.0.lost": 1}
	if !j.do(taken, 1) {
		t.Error("it does not see a message that the janitor before has left")
	}
}

func TestAConsumerThatAnotherJanitorHadMeanwhileIsListedAgain(t *testing.T) {
	j := janitorOf(t, &lossyStream{})
	j.explained[aChore.key()] = 1
	if j.mayDo(aChore) {
		t.Fatal("it has the key without a broker")
	}
	if !j.mayHaveLost(aChore.key(), 1) {
		t.Error("it takes the message for explained")
	}
}
