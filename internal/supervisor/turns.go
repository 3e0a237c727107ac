package supervisor

import "context"

// endsAtOnce bounds the predictions without a slot that write their ends at the same time. Many can
// end at once: at a shutdown, at a common deadline, or because no model can be loaded. Each write
// that the disk is slow to take holds a thread, and Go ends a process with 10,000 of them.
const endsAtOnce = 32

// turns lets endsAtOnce goroutines at a time change the journals, in the order in which they came.
type turns struct {
	taken chan struct{} // one for each
	over  context.Context
	end   context.CancelFunc // takeInTime gives no turns any more
}

func newTurns() turns {
	t := turns{taken: make(chan struct{}, endsAtOnce)}
	t.over, t.end = context.WithCancel(context.Background())
	return t
}

// take waits for a turn, which give ends.
func (t turns) take() { t.taken <- struct{}{} }

// takeInTime is take, and reports false if the time for turns is over before.
func (t turns) takeInTime() bool {
	if t.over.Err() != nil {
		return false
	}
	select {
	case t.taken <- struct{}{}:
		return true
	case <-t.over.Done():
		return false
	}
}

func (t turns) give() { <-t.taken }
