package supervisor

import (
	"github.com/coggo/coggo/internal/admission"
	"github.com/coggo/coggo/internal/pool"
	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/schema"
)

// admit decides whether r may run, and registers it if so. It registers before anything is written,
// so that a response never finds nobody who waits for it. The error is always a *prediction.Error.
func (s *Supervisor) admit(
	r prediction.Request, idempotent bool,
) (f *flight, created bool, err error) {
	input, err := s.inputSchema(r.Method)
	if err != nil {
		return nil, false, err
	}
	checked, err := s.checks.Admit(input, &r, s.config.CheckWait, s.config.Now())
	if err != nil {
		return nil, false, err
	}
	f = s.newFlight(r, input, checked)
	f.keepResult = r.Detached || idempotent || r.Lease != nil
	known, err := s.register(f, idempotent)
	if err != nil || known != nil {
		f.cancelBy(nil)
		return known, false, err
	}
	return f, true, nil
}

// inputSchema returns the schema of inputs, while the server accepts predictions.
func (s *Supervisor) inputSchema(m prediction.Method) (*schema.Input, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.pool.Refuses(s.config.Now()); err != nil {
		return nil, err
	}
	return admission.Input(s.schema, m)
}

// register gives f a slot, permission to fetch its files, or a place in the queue. If f is
// idempotent and its id is known, register returns that flight and does not register f.
func (s *Supervisor) register(f *flight, idempotent bool) (known *flight, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expireLocked()
	var repeats func(*flight) bool
	if idempotent {
		repeats = func(old *flight) bool {
			return f.prediction.Request.SameRun(old.prediction.Request, s.key) && !old.deserted()
		}
	}
	a, err := s.pool.Admit(f, repeats, s.config.Now())
	if err != nil {
		return nil, err
	}
	if a.Joined {
		return a.Known, nil
	}
	if a.Replaced {
		f.replaces = a.Previous.run
	}
	if a.Granted {
		s.grantLocked(a.Grant)
	}
	s.idle.Add(1)
	return nil, nil
}

// patientBytes bounds the memory of predictions that wait only because of PatientQueue, because no
// operator has decided that there is memory for them.
const patientBytes = 256 << 20

// grantLocked lets predictions go on with the pool's grants.
func (s *Supervisor) grantLocked(grants ...pool.Grant[*flight]) {
	for _, g := range grants {
		f := g.Member
		if !g.Slot.Taken() {
			f.turn <- nil
			continue
		}
		w := s.workers[g.Slot.Worker]
		f.slot, f.dir = g.Slot, w.dir
		s.tickLocked()
		f.turn <- w
	}
}

// fetchDone lets f, whose files are fetched, wait for a slot before every flight that has not
// fetched.
func (s *Supervisor) fetchDone(f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grantLocked(s.pool.FetchDone(f)...)
}

// stepAside takes the slot back from a recovered prediction that turned out to have files to fetch,
// and puts the prediction at the front of the queue.
func (s *Supervisor) stepAside(f *flight) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	grants, err := s.pool.StepAside(f, f.slot, s.config.Now())
	f.slot = pool.Slot{}
	s.grantLocked(grants...)
	return err
}
