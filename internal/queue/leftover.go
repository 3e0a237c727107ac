package queue

import (
	"context"
	"sync"
	"time"

	"github.com/coggo/coggo/internal/prediction"
)

// storeLeftovers stores the ends that an earlier server on the same directory could not. If a
// prediction of that server has no end, the broker gives it out again, to any worker. It returns
// when they are stored, or after a while: this worker would otherwise take over from itself.
func (w *Worker) storeLeftovers() {
	var stored sync.WaitGroup
	defer func() {
		ctx, cancel := context.WithTimeout(w.q.ctx, patience)
		defer cancel()
		waitFor(ctx, &stored)
	}()
	for cursor := ""; ; {
		page, next, err := w.Supervisor.List("", cursor, 100)
		if err != nil {
			return
		}
		for _, p := range page {
			if p.Request.Lease != nil && p.Status().Terminal() {
				stored.Add(1)
				w.work.Go(func() {
					defer stored.Done()
					w.storeLeftover(p)
				})
			}
		}
		if cursor = next; cursor == "" {
			return
		}
	}
}

// waitFor waits until the group or ctx is done. It reports whether the group is.
func waitFor(ctx context.Context, group *sync.WaitGroup) bool {
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

// storeLeftover stores one end, until the broker answers. It is refused if another worker has taken
// over.
func (w *Worker) storeLeftover(p *prediction.Prediction) {
	for w.q.ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(w.q.ctx, patience)
		err := w.storeLeftoverOnce(ctx, p)
		cancel()
		if err == nil {
			w.Supervisor.Stored(p)
			return
		}
		w.q.config.Log.Warn("store the end of a prediction of an earlier server: trying again",
			"id", p.Request.ID, "error", err)
		select {
		case <-time.After(attempt):
		case <-w.q.ctx.Done():
		}
	}
}

// storeLeftoverOnce stores one end if the run is still that of the earlier server: it has the
// claim, or nobody has claimed the run because the broker had gone before it could.
func (w *Worker) storeLeftoverOnce(ctx context.Context, p *prediction.Prediction) error {
	lease := *p.Request.Lease
	s, a, found, err := w.lookUp(ctx, token(p.Request.ID))
	if err != nil || !found || a.run != lease.Run {
		return err
	}
	entry, err := w.q.entry(ctx, a)
	if err != nil {
		return err
	}
	mine := s.run == lease.Run && s.kind == claimed && s.owner == lease.Owner && s.attempt == lease.Attempt
	switch {
	case mine, s.run != lease.Run && s.seq == a.after:
		if s, err = w.endLeftover(ctx, p, a, s); wrongSequence(err) {
			return w.storeLeftoverOnce(ctx, p) // it was canceled, or taken over
		} else if err != nil {
			return err
		}
	case s.run != lease.Run || s.kind != ended:
		return nil // another worker has it
	}
	if err := w.q.owe(ctx, a.place, entry, s.payload); err != nil {
		return err
	}
	return w.q.take(ctx, a)
}

// lookUp returns the state with this key, and the request if it has not ended.
func (w *Worker) lookUp(ctx context.Context, key string) (s state, a asked, found bool, err error) {
	if s, err = w.q.broker.state(ctx, key); err == nil {
		a, found, err = w.q.broker.asked(ctx, key)
	}
	return s, a, found, err
}

// endLeftover stores the end of a run whose state is s.
func (w *Worker) endLeftover(ctx context.Context, p *prediction.Prediction, a asked, s state) (state, error) {
	lease := p.Request.Lease
	next := state{
		place: a.place, kind: ended, run: a.run, owner: lease.Owner, host: w.host, attempt: lease.Attempt,
		turn: lease.Turn, input: a.input, method: p.Request.Method,
	}
	if s.run == a.run {
		next.cancel = s.cancel
	}
	var err error
	object := endObject(a.run, s.seq)
	next.payload, err = w.q.broker.storePast(w.q.ctx, a.place, object, p.Past(), next.turn)
	if err != nil {
		return s, err
	}
	if _, err = w.q.broker.put(w.q.ctx, next, s.seq, w.q.config.RetainFor); err != nil {
		if wrongSequence(err) {
			w.q.broker.discard(ctx, a.place, next.payload)
		}
		return s, err
	}
	w.q.config.Log.Info("stored the end of a prediction of an earlier server", "id", p.Request.ID)
	return next, nil
}
