package supervisor

import (
	"context"
	"sync"
	"time"
)

// stopWait is how long a runner that was told to stop may take before its group is killed.
const stopWait = 2 * time.Second

// leaveWait is how long the server waits for what a killed runner has started, before it leaves it to the kernel and the guard.
const leaveWait = 5 * time.Second

// flushWait is how long undelivered webhooks are tried after the last prediction has ended.
const flushWait = 10 * time.Second

// Drain ends the server's work: new predictions are refused, live ones have until grace is done and fail then, webhooks
// are delivered for a while, the runners stop. What is still owed then stays on disk. Nothing waits once hurry is done.
func (s *Supervisor) Drain(grace, hurry context.Context) {
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()
	idle := closed(&s.idle)
	select {
	case <-idle:
	case <-grace.Done():
		s.cancelAll(ByShutdown)
		select {
		case <-idle: // bounded by CancelGrace and endWait
		case <-hurry.Done():
			s.killAll()
			<-idle
		}
	}
	flush, cancel := context.WithTimeout(hurry, flushWait)
	defer cancel()
	if err := s.Webhooks.Drain(flush); err != nil {
		s.Log.Warn("webhooks left undelivered", "error", err)
	}
	s.stop()
	var shut sync.WaitGroup
	for _, w := range s.workers {
		shut.Go(w.shut) // side by side: each may take stopWait
	}
	shut.Wait()
	select {
	case <-closed(&s.workersn):
	case <-time.After(leaveWait):
		s.Log.Error("a model process, or what it has started, does not end")
	}
	if s.Durable {
		s.root.GiveRoom()
	}
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
	for _, f := range s.flights {
		if !f.settled {
			f.cancel(r)
		}
	}
}

// killAll ends the processes of models that do not heed a cancel.
func (s *Supervisor) killAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.workers {
		if w.process != nil {
			w.process.Kill()
		}
	}
}

// shut stops the worker's process, by word and then by force.
func (w *worker) shut() {
	w.s.mu.Lock()
	process, p := w.process, w.phase
	w.s.mu.Unlock()
	if process == nil {
		return
	}
	if p == phaseReady {
		if err := w.dir.PutStop(); err != nil {
			w.s.Log.Error("stop the runner", "error", err)
		}
		select {
		case <-process.Done():
			return
		case <-time.After(stopWait):
		}
	}
	if p != phaseDefunct { // else it was tried: it has a process because that does not end
		w.end(process)
	}
}
