package supervisor

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/schema"
	"github.com/coggo/coggo/internal/spool"
)

// admit decides whether r may run and registers it if so, before anything is written: an answer can
// never find nobody waiting. The error is always a *prediction.Error.
func (s *Supervisor) admit(r prediction.Request, idempotent bool) (f *flight, created bool, err error) {
	input, err := s.inputSchema(r.Method)
	if err != nil {
		return nil, false, err
	}
	if problem, found := misplaced(input, r.Strays); found {
		return nil, false, prediction.InvalidRequest(problem)
	}
	r.Strays = nil
	checked, problems, err := s.checks.run(input, r.Input, s.CheckWait)
	if err != nil {
		return nil, false, err
	}
	if len(problems) > 0 {
		return nil, false, prediction.InvalidRequest(convert(problems)...)
	}
	s.complete(&r, checked)
	f = s.newFlight(r, input, checked)
	f.lasting = r.Detached || idempotent
	known, err := s.register(f, idempotent)
	if err != nil || known != nil {
		f.cancelBy(nil)
		return known, false, err
	}
	return f, true, nil
}

// misplaced finds inputs that stand beside the place for them: without it they would be ignored,
// and the model would run with its defaults.
func misplaced(input *schema.Input, strays []string) (p prediction.Problem, found bool) {
	p = prediction.Problem{Loc: []any{"body", "input"}, Type: "missing"}
	for _, name := range strays {
		if input.Has(name) {
			p.Msg = fmt.Sprintf(`Field required: put the inputs under "input", as in {"input": {%q: …}}`, name)
			return p, true
		}
	}
	for _, name := range strays {
		if typo := strings.ToLower(name); typo == "input" || typo == "inputs" {
			p.Msg = fmt.Sprintf(`Field required: the inputs stand under "input", not %q`, name)
			return p, true
		}
	}
	return p, false
}

// inputSchema returns what inputs are checked against, while the server takes predictions at all.
func (s *Supervisor) inputSchema(m prediction.Method) (*schema.Input, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending.Err() != nil {
		return nil, prediction.RefuseFor(soon, prediction.Draining, "the server is shutting down")
	}
	if status := s.statusLocked(); status != Ready && status != Busy {
		return nil, s.notReadyLocked(status)
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

// register gives f a slot, leave to fetch its files, or a place in the queue. When f is idempotent
// and its id is known, that flight is returned and f is not registered.
func (s *Supervisor) register(f *flight, idempotent bool) (known *flight, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetLocked()
	if s.ending.Err() != nil {
		return nil, prediction.RefuseFor(soon, prediction.Draining, "the server is shutting down")
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
		return nil, prediction.RefuseFor(soon, prediction.Conflict, "the model still goes on with the canceled prediction that had this id; try again later")
	}
	if !s.beginLocked(f) { // whoever waits has no use for what is free, see dispatchLocked
		if err := s.queueLocked(f); err != nil {
			return nil, err
		}
	}
	if old != nil {
		s.retained.remove(f.id())
		f.replaces = old.run
	}
	s.flights[f.id()] = f
	s.idle.Add(1)
	return nil, nil
}

// goesOnLocked reports whether a runner goes on with an ended prediction of this id: what it says
// would count for a new one.
func (s *Supervisor) goesOnLocked(id string) bool {
	return slices.ContainsFunc(s.workers, func(w *worker) bool { return w.abandoned[spool.FileID(id)] != nil })
}

// queueLocked gives f a place in the queue.
func (s *Supervisor) queueLocked(f *flight) error {
	if status := s.statusLocked(); status != Ready && status != Busy { // it was, before the input was checked
		return s.notReadyLocked(status)
	}
	if !s.mayWaitLocked(f) {
		return s.fullLocked(f)
	}
	s.queue = append(s.queue, f)
	return nil
}

// patientBytes bounds what waits by PatientQueue alone, because no operator has decided that there
// is memory for it.
const patientBytes = 256 << 20

// mayWaitLocked reports whether there is a place in the queue for f.
func (s *Supervisor) mayWaitLocked(f *flight) bool {
	if len(s.queue) < s.MaxQueue {
		return true
	}
	if !f.prediction.Request.Patient || len(s.queue) >= s.PatientQueue {
		return false
	}
	held := f.prediction.Size()
	for _, waiting := range s.queue {
		held += waiting.prediction.Size()
	}
	return held <= patientBytes
}

// fullLocked returns the error for f when the queue has no place for it, or when it has no queue.
func (s *Supervisor) fullLocked(f *flight) error {
	why := "already running as many predictions as the model takes at once"
	if s.freeWorkerLocked() != nil {
		why = "already fetching the files of as many predictions as may be at once"
	}
	if s.MaxQueue > 0 || f.prediction.Request.Patient && s.PatientQueue > 0 {
		return prediction.RefuseFor(soon, prediction.QueueFull, why+", and every place in the queue is taken, see --max-queue; try again later")
	}
	return prediction.RefuseFor(soon, prediction.Busy, why+"; try again later, or let predictions wait with --max-queue")
}

// beginLocked gives f a slot, or lets it fetch its files first while others have the slots, and
// reports whether there was room. Both need a free slot.
func (s *Supervisor) beginLocked(f *flight) bool {
	w := s.freeWorkerLocked()
	if w == nil || f.fetches && !s.mayFetchLocked() {
		return false
	}
	if f.fetches {
		s.fetching[f] = true
		f.turn <- nil
	} else {
		w.takeLocked(f)
	}
	return true
}

// mayFetchLocked bounds the predictions that have fetched files on disk, running or not, by the
// slots and MaxFetching.
func (s *Supervisor) mayFetchLocked() bool {
	free := 0
	for _, w := range s.workers {
		free += max(w.freeLocked(), 0)
	}
	return len(s.fetching) < free+s.MaxFetching
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

// dispatchLocked gives free slots to those who wait for them: first to those whose files are
// fetched, then to the queue, where who may not fetch yet is passed over. So while a slot is free,
// nobody waits who could have it.
func (s *Supervisor) dispatchLocked() {
	for len(s.fetched) > 0 {
		w := s.freeWorkerLocked()
		if w == nil {
			return
		}
		f := s.fetched[0]
		s.fetched = slices.Delete(s.fetched, 0, 1)
		delete(s.fetching, f)
		w.takeLocked(f)
	}
	for i := 0; i < len(s.queue) && s.freeWorkerLocked() != nil; {
		if s.beginLocked(s.queue[i]) {
			s.queue = slices.Delete(s.queue, i, i+1)
		} else {
			i++
		}
	}
}

// lineUp lets f, whose files are fetched, wait for a slot before everybody who has not fetched.
func (s *Supervisor) lineUp(f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetched = append(s.fetched, f)
	s.dispatchLocked()
}

// stepAside takes the slot back from a recovered prediction that has turned out to have files to
// fetch. Of the queue it is the next to fetch, after those to whom that has happened before.
func (s *Supervisor) stepAside(f *flight, w *worker) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.freeSlotLocked(f)
	if status := s.statusLocked(); status == SetupFailed || status == Defunct { // hopelessLocked has passed it over
		return errors.New(s.whyNotLocked(status))
	}
	place := 0
	for place < len(s.queue) && s.queue[place].unchecked && s.queue[place].fetches {
		place++
	}
	s.queue = slices.Insert(s.queue, place, f)
	s.dispatchLocked()
	return nil
}

// dequeueLocked takes a flight that gave up out of its line.
func (s *Supervisor) dequeueLocked(f *flight) {
	for _, line := range []*[]*flight{&s.queue, &s.fetched} {
		if i := slices.Index(*line, f); i >= 0 {
			*line = slices.Delete(*line, i, i+1)
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
