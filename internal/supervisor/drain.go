package supervisor

import (
	"context"
	"sync"
	"time"

	"github.com/coggo/coggo/internal/pool"
	"github.com/coggo/coggo/internal/runner"
)

// The end after the grace period fits into 8 s, with what the caller has to do after Drain: whoever
// has started the server kills it after a while, and Kubernetes waits 30 s unless it is told
// otherwise. Each of these is such a moment, counted from the end of the grace period.
const (
	killAt  = 2500 * time.Millisecond // the server kills the processes of models that ignore the cancel
	flushAt = 4500 * time.Millisecond // the server stops waiting for predictions whose process hangs in the kernel
	stopAt  = 6 * time.Second         // undelivered webhooks stay on disk, and the server asks runners to stop
	leaveAt = 7 * time.Second         // runners have ended
)

// shutdownCancelGrace is as much of CancelGrace as a prediction has that is canceled at the end of
// the grace period.
const shutdownCancelGrace = 2 * time.Second

// shutdownEndWait is as much of endWait as a killed process has while the server ends.
const shutdownEndWait = time.Second

// stopWait is how long a runner may take to stop before its group is killed.
const stopWait = 2 * time.Second

// leaveWait is how long the server waits for what a killed runner has started, before it leaves it
// to the kernel and the guard.
const leaveWait = 5 * time.Second

// flushWait is how long undelivered webhooks are tried after the last prediction has ended.
const flushWait = 10 * time.Second

// hurryWait is how long a server in a hurry gives itself altogether: to note what was killed takes
// a moment, and what hangs, in the kernel or in a disk, may hang for ever.
const hurryWait = 2 * time.Second

// Drain ends the server's work: new predictions are refused, live ones have until grace is done and
// fail then, webhooks are delivered for a while, the runners stop. What is still owed then stays on
// disk. The deadline of grace is when the rest of the end begins, at the latest. Once hurry is done
// everything is killed, and nothing is waited for beyond hurryWait.
func (s *Supervisor) Drain(grace, hurry context.Context) {
	defer s.failures.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.drain(grace, hurry)
	}()
	select {
	case <-done:
	case <-hurry.Done():
		s.config.Log.Info("stopping at once")
		select {
		case <-done:
		case <-time.After(hurryWait):
			s.killAll()
			s.config.Log.Error("something hangs and is left behind")
		}
	}
}

func (s *Supervisor) drain(grace, hurry context.Context) {
	late, _ := grace.Deadline()
	s.mu.Lock()
	s.end()
	s.pool.Drain()
	s.mu.Unlock()
	s.drainPredictions(grace, hurry, late)
	flush, cancel := context.WithDeadline(hurry, sooner(late.Add(stopAt), flushWait))
	defer cancel()
	s.reportUndelivered(s.config.Webhooks.Drain(flush))
	s.stop()
	told := sooner(late.Add(leaveAt-shutdownEndWait/2), stopWait)
	var shut sync.WaitGroup
	for _, w := range s.workers {
		shut.Go(func() { w.shut(told, hurry) }) // in parallel: each may take stopWait
	}
	shut.Wait()
	select {
	case <-closed(&s.workersn):
	case <-time.After(time.Until(sooner(late.Add(leaveAt), leaveWait))):
		s.config.Log.Error("a model process, or what it has started, does not end")
	}
	if s.config.Durable {
		s.root.GiveRoom()
	}
}

// drainPredictions returns when every prediction has finished, or when the server stops waiting for
// them.
func (s *Supervisor) drainPredictions(grace, hurry context.Context, late time.Time) {
	idle := closed(&s.idle)
	select {
	case <-idle:
		return
	case <-grace.Done():
	}
	s.cancelAll(ByShutdown)
	select {
	case <-idle:
		return
	case <-hurry.Done():
	case <-time.After(time.Until(late.Add(killAt))):
	}
	s.killAll()
	select {
	case <-idle:
	case <-time.After(time.Until(sooner(late.Add(flushAt), flushAt-killAt))):
		s.config.Log.Error("predictions do not end: a killed model process hangs in the kernel")
	}
}

// sooner is t, or most from now when that comes before.
func sooner(t time.Time, most time.Duration) time.Time {
	if end := time.Now().Add(most); end.Before(t) {
		return end
	}
	return t
}

// closed returns a channel that is closed when the group is done.
func closed(group *sync.WaitGroup) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	return done
}

func (s *Supervisor) cancelAll(r Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for f := range s.pool.Live() {
		f.cancel(r)
	}
}

// killAll kills the processes of models that ignore a cancel.
func (s *Supervisor) killAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.workers {
		if w.process != nil {
			w.process.Kill("the server ends")
		}
	}
}

// dismiss tells a process to stop and reports whether it has ended before late, or hurry, has come.
func (w *worker) dismiss(process *runner.Process, late time.Time, hurry <-chan struct{}) bool {
	if err := w.dir.PutStop(); err != nil {
		w.s.config.Log.Error("stop the runner", "error", err)
	}
	select {
	case <-process.Done():
		return true
	case <-time.After(time.Until(late)):
	case <-hurry:
	}
	return false
}

// shut stops the worker's process, by word and, once late has come or hurry is done, by force.
func (w *worker) shut(late time.Time, hurry context.Context) {
	w.s.mu.Lock()
	process, phase := w.process, w.s.pool.Phase(w.index)
	w.s.mu.Unlock()
	if process == nil {
		return
	}
	if phase == pool.PhaseReady && w.dismiss(process, late, hurry.Done()) {
		return
	}
	if phase != pool.PhaseDefunct { // else it was tried: it has a process because that does not end
		w.end(process, "the server ends")
	}
}
