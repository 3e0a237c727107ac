package supervisor

import (
	"slices"
	"time"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/schema"
	"github.com/coggo/coggo/internal/spool"
)

// admit decides whether r may run and registers it if so, before anything is written: an answer can never find nobody
// waiting. The error is always a *prediction.Error.
func (s *Supervisor) admit(r prediction.Request, idempotent bool) (f *flight, created bool, err error) {
	input, err := s.inputSchema(r.Method)
	if err != nil {
		return nil, false, err
	}
	checked, problems := input.Check(r.Input)
	if len(problems) > 0 {
		return nil, false, prediction.InvalidRequest(convert(problems)...)
	}
	s.complete(&r, checked)
	f = s.newFlight(r, checked)
	f.lasting = r.Detached || idempotent
	known, err := s.register(f, idempotent)
	if err != nil || known != nil {
		f.cancelBy(nil)
		return known, false, err
	}
	return f, true, nil
}

// inputSchema returns what inputs are checked against, while the server takes predictions at all.
func (s *Supervisor) inputSchema(m prediction.Method) (*schema.Input, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return nil, prediction.Refuse(prediction.Draining, "the server is shutting down")
	}
	if status := s.statusLocked(); status != Ready && status != Busy {
		return nil, prediction.Refuse(prediction.NotReady, s.whyNotLocked(status))
	}
	return s.inputLocked(m)
}

// inputLocked is inputSchema once there is a model.
func (s *Supervisor) inputLocked(m prediction.Method) (*schema.Input, error) {
	if m == prediction.Train {
		if in := s.schema.Train(); in != nil {
			return in, nil
		}
		return nil, prediction.Refuse(prediction.NotFound, "this model has no train")
	}
	return s.schema.Predict(), nil
}

// complete fills in what the server decides about a request.
func (s *Supervisor) complete(r *prediction.Request, checked schema.Checked) {
	if r.ID == "" {
		r.ID = prediction.NewID()
	}
	if r.CreatedAt == "" {
		r.CreatedAt = prediction.Time(s.Now())
	}
	r.Echo = checked.Echo
}

// register gives f a slot or a place in the queue. When f is idempotent and its id is known, that flight is returned
// and f is not registered.
func (s *Supervisor) register(f *flight, idempotent bool) (known *flight, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetLocked()
	if s.draining {
		return nil, prediction.Refuse(prediction.Draining, "the server is shutting down")
	}
	old := s.flights[f.id()]
	if old != nil {
		was, is := old.prediction.Request, f.prediction.Request
		if !old.settled && (!idempotent || was.Method != is.Method) {
			return nil, prediction.Refuse(prediction.Conflict, "a "+was.Method.Noun()+" with this id is running")
		}
		if !old.settled || idempotent && is.Same(was, s.key) && !old.deserted() {
			return old, nil
		}
	}
	if s.goesOnLocked(f.id()) {
		return nil, prediction.Refuse(prediction.Conflict, "the model still goes on with the canceled prediction that had this id; try again later")
	}
	if w := s.freeWorkerLocked(); w != nil && len(s.queue) == 0 {
		w.takeLocked(f)
	} else if status := s.statusLocked(); status != Ready && status != Busy { // it was, before the input was checked
		return nil, prediction.Refuse(prediction.NotReady, s.whyNotLocked(status))
	} else if len(s.queue) < s.MaxQueue {
		s.queue = append(s.queue, f)
	} else {
		return nil, s.fullLocked()
	}
	if old != nil {
		s.retained.remove(f.id())
		f.replaces = old.run
	}
	s.flights[f.id()] = f
	s.idle.Add(1)
	return nil, nil
}

// goesOnLocked reports whether a runner goes on with an ended prediction of this id: what it says would count for a new one.
func (s *Supervisor) goesOnLocked(id string) bool {
	return slices.ContainsFunc(s.workers, func(w *worker) bool { return w.abandoned[spool.FileID(id)] != nil })
}

func (s *Supervisor) fullLocked() *prediction.Error {
	if s.MaxQueue > 0 {
		return &prediction.Error{Code: prediction.QueueFull, Message: "every slot and every place in the queue is taken; try again later", RetryAfter: time.Second}
	}
	return prediction.Refuse(prediction.Busy, "already running as many predictions as the model takes at once; try again later")
}

// freeWorkerLocked is the ready worker with the most free slots, nil when there is none.
func (s *Supervisor) freeWorkerLocked() *worker {
	var best *worker
	for _, w := range s.workers {
		if free := w.freeLocked(); free > 0 && (best == nil || free > best.freeLocked()) {
			best = w
		}
	}
	return best
}

// dispatchLocked gives free slots to those who wait for them.
func (s *Supervisor) dispatchLocked() {
	for len(s.queue) > 0 {
		w := s.freeWorkerLocked()
		if w == nil {
			return
		}
		f := s.queue[0]
		s.queue = s.queue[1:]
		w.takeLocked(f)
	}
}

// dequeueLocked takes a flight that gave up out of the queue.
func (s *Supervisor) dequeueLocked(f *flight) {
	for i, q := range s.queue {
		if q == f {
			s.queue = append(s.queue[:i:i], s.queue[i+1:]...)
			return
		}
	}
}

func convert(problems []schema.Problem) []prediction.Problem {
	out := make([]prediction.Problem, len(problems))
	for i, p := range problems {
		out[i] = prediction.Problem(p)
	}
	return out
}
