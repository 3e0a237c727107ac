package supervisor

import (
	"context"
	"time"
)

// stopWait is how long a runner that was told to stop may take before its group is killed.
const stopWait = 2 * time.Second

// flushWait is how long undelivered webhooks are tried after the last prediction has ended.
const flushWait = 10 * time.Second

// Drain ends the server's work: new predictions are refused, live ones have until grace is done and fail then, webhooks
// are delivered for a while, the runners stop. What is still owed then stays on disk. Nothing waits once hurry is done.
func (s *Supervisor) Drain(grace, hurry context.Context) {
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()
	idle := make(chan struct{})
	go func() {
		s.idle.Wait()
		close(idle)
	}()
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
	for _, w := range s.workers {
		s.workersn.Go(w.shut) // side by side: each may take stopWait
	}
	s.workersn.Wait()
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
	if p == phaseDefunct || !w.end(process) { // a defunct one that has a process has tried to end it
		w.s.Log.Error("the model process does not end", "runner", w.index)
		close(w.left)
	}
}
