package supervisor

import (
	"testing"
	"time"
)

func TestAnEndThatCannotBeLeftWaitsForItsTurnAfterAllTurnsAreOver(t *testing.T) {
	turns := newTurns()
	for range endsAtOnce {
		turns.take()
	}
	turns.end()
	if turns.takeInTime() {
		t.Error("there is a turn after the end")
	}
	taken := make(chan struct{})
	go func() {
		turns.take()
		close(taken)
	}()
	select {
	case <-taken:
		t.Error("more than endsAtOnce write at the same time")
	case <-time.After(20 * time.Millisecond):
	}
	turns.give()
	<-taken
}
