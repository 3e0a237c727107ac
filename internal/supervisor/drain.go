package supervisor

import (
	"context"
	"sync"
	"time"

	"github.com/coggo/coggo/internal/pool"
	"github.com/coggo/coggo/internal/runner"
)

// The server is killed a while after it was asked to stop; Kubernetes waits 30 s by default. So the
// end after the grace period, with the work of the caller after Drain, fits into 8 s. Each constant
// is a moment, counted from the end of the grace period.
const (
	// The server kills the processes of models that ignore the cancel.
	killAt = 2500 * time.Millisecond
	// It leaves waiting predictions whose ends are not written to the next server: there are too
	// many for this machine, or the disk is slow.
	writtenAt = 4 * time.Second
	// It stops waiting for predictions: a process hangs in the kernel, or a write does.
	flushAt = 4500 * time.Millisecond
	// It leaves undelivered webhooks on disk, and asks the runners to stop.
	stopAt = 6 * time.Second
	// The runners have exited.
	leaveAt = 7 * time.Second
)

// shutdownCancelGrace replaces CancelGrace for a prediction that is canceled at the end of the
// grace period, if it is shorter.
const shutdownCancelGrace = 2 * time.Second

// shutdownEndWait replaces endWait for a process that is killed during the shutdown.
const shutdownEndWait = time.Second

// stopWait is how long a runner may take to stop before its group is killed.
const stopWait = 2 * time.Second

// leaveWait is how long the server waits for the descendants of a killed runner, before it leaves
// them to the kernel and the guard.
const leaveWait = 5 * time.Second

// flushWait is how long the server keeps delivering webhooks after the last prediction has
// finished.
const flushWait = 10 * time.Second

// hurryWait is how long a server in a hurry takes altogether. To record the killed predictions
// takes a moment, but a process that hangs in the kernel or on a disk may hang for ever.
const hurryWait = 2 * time.Second

// Drain ends the server's work. It refuses new predictions. Running ones have until grace is done,
// and fail then. It delivers webhooks for a while, and stops the runners; undelivered webhooks stay
// on disk. The rest of the end begins at the deadline of grace, at the latest. Once hurry is done,
// Drain kills everything and waits no longer than hurryWait.
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
			s.config.Log.Error("something hangs; the server exits without it")
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
		shut.Go(func() { w.shut(told, hurry) }) // in parallel: each one may take stopWait
	}
	shut.Wait()
	select {
	case <-closed(&s.workersn):
	case <-time.After(time.Until(sooner(late.Add(leaveAt), leaveWait))):
		s.config.Log.Error("a model process, or a process that it started, does not exit")
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
	writing := time.NewTimer(time.Until(sooner(late.Add(writtenAt), writtenAt-killAt)))
	defer writing.Stop()
	select {
	case <-idle:
		return
	case <-hurry.Done(): // the rest takes hurryWait
	case <-writing.C:
	}
	s.turns.end()
	select {
	case <-idle:
	case <-time.After(flushAt - writtenAt):
	}
	s.reportUnfinished()
}

// sooner returns t, or the time most from now if that comes first.
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
			w.process.Kill("the server is ending")
		}
	}
}

// dismiss asks a process to stop. It reports whether it has exited before late, or before hurry is
// done.
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

// shut stops the worker's process: it asks first, and kills once late has come or hurry is done.
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
	if phase != pool.PhaseDefunct { // a defunct worker has a process only if that cannot be killed
		w.end(process, "the server is ending")
	}
}
