package queue

import "testing"

func TestAListThatHasFoundNothingExplainsAsManyMessagesFromThenOn(t *testing.T) {
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
		list := j.mayHaveLost(askedStream, step.untracked)
		if list != step.list {
			t.Errorf("step %d: list %v with %d messages", n, list, step.untracked)
		}
		if step.untracked == 2 && list {
			j.explained[askedStream] = 2
		}
	}
}
