package queue

import (
	"context"

	"github.com/coggo/coggo/internal/pool"
	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/supervisor"
)

// Get returns a prediction that waits, runs, or has ended and is kept, whichever process took it
// on. The error is a *prediction.Error with code NotFound or NotReady.
func (q *Queue) Get(id string) (*prediction.Prediction, error) { return q.find(id, false) }

// Stream is Get for a reader of the events.
func (q *Queue) Stream(id string) (*prediction.Prediction, error) { return q.find(id, true) }

func (q *Queue) find(id string, events bool) (*prediction.Prediction, error) {
	if err := q.usable(); err != nil {
		return nil, err
	}
	key := token(id)
	if m := q.known(key); m != nil && m.prediction.Request.ID == id {
		m.seen()
		return m.prediction, nil
	}
	ctx, cancel := context.WithTimeout(q.ctx, patience)
	defer cancel()
	for again := false; ; again = true {
		s, err := q.broker.state(ctx, key)
		if err != nil {
			return nil, q.unreachable(err)
		}
		if s.seq > 0 {
			if newer, err := q.queued(ctx, key, s); newer != nil || err != nil {
				return newer, err
			}
			m, err := q.restore(ctx, s, events)
			if err != nil {
				return nil, err
			}
			m.seen()
			return m.prediction, nil
		}
		if p, err := q.queued(ctx, key, s); p != nil || err != nil {
			return p, err
		}
		if again { // between the two looks it may have begun to run
			return nil, errGone()
		}
	}
}

// queued returns the prediction that waits under this key, nil if there is none, or if it is the
// run that s is about.
func (q *Queue) queued(ctx context.Context, key string, s state) (*prediction.Prediction, error) {
	if s.underway() {
		return nil, nil // it is the one that is in the queue too
	}
	a, found, err := q.broker.asked(ctx, key)
	if err != nil {
		return nil, q.unreachable(err)
	}
	if !found || a.run == s.run {
		return nil, nil
	}
	entry, err := q.entry(ctx, a)
	if err != nil {
		return nil, q.unreachable(err)
	}
	r := followed(q.request(a, entry))
	r.Detached = true
	m := q.mirror(a.place, a.run, r)
	m.want() // a reader of its stream does not come again
	m.refresh(ctx)
	return m.prediction, nil
}

// Health returns the health of one model of the queue, or of all without a name, for a process
// without a model of its own. Its slots are those of all workers.
func (q *Queue) Health(ctx context.Context, name string) supervisor.Health {
	h := supervisor.Health{Summary: supervisor.Summary{Status: pool.Ready, Draining: q.draining.Load()}}
	h.Setup.Status = "succeeded"
	h.RetryAfter = pool.RetrySoon
	if err := q.usable(); err != nil {
		h.Status, h.Unhealthy = pool.Unhealthy, err.Error()
		if !q.opened() {
			h.Status, h.Setup.Status = pool.Starting, "starting"
		}
		return h
	}
	found := q.Report(ctx, name)
	h.Queue = &found
	h.Max, h.Current = found.Slots, found.Running
	m, err := q.choose(name, "")
	switch {
	case err == nil:
		h.Python, h.Cog = m.entry.Python, m.entry.Cog
		h.Setup.StartedAt, h.Setup.CompletedAt = m.heard, m.heard
	case name != "" || len(q.directory.all()) == 0: // else there are several
		h.Status, h.Setup.Status, h.Setup.Logs = pool.Starting, "starting", err.Error()
	}
	return h
}
