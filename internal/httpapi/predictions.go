package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/coggo/coggo/internal/prediction"
)

// create answers POST: it always starts a new run.
func (a *API) create(m prediction.Method) handler {
	return a.rejecting(func(w http.ResponseWriter, r *http.Request) error {
		watch := a.deferWatch(r)
		req, err := a.readRequest(w, r)
		if err != nil {
			return err
		}
		req.Method = m
		return a.start(w, r, req, false, watch)
	})
}

// put answers PUT: it starts one run for an id, however often clients send it.
func (a *API) put(m prediction.Method) handler {
	return a.rejecting(func(w http.ResponseWriter, r *http.Request) error {
		watch := a.deferWatch(r)
		req, err := a.readRequest(w, r)
		if err != nil {
			return err
		}
		id, err := prediction.ParseID(r.PathValue("id"), "path", m.Noun()+"_id")
		if err != nil {
			return err
		}
		if req.ID != "" && req.ID != id {
			return prediction.InvalidRequest(prediction.Problem{
				Loc: []any{"body", "id"}, Type: "value_error",
				Msg: "must be the id of the path, or absent",
			})
		}
		req.ID, req.Method = id, m
		return a.start(w, r, req, true, watch)
	})
}

// start creates a prediction, and answers in the way that the headers ask for. watch is that of
// deferWatch for r.
func (a *API) start(
	w http.ResponseWriter, r *http.Request, req prediction.Request, idempotent bool,
	watch func() context.Context,
) error {
	stream, prefer := wantsStream(r.Header), preferred(r.Header)
	req.Model = a.named(r)
	if stream {
		if err := a.streams(r, req.Method); err != nil {
			return err
		}
	}
	req.Followed = stream || prefer.wait > 0
	req.Detached = !stream && (prefer.async || prefer.wait > 0)
	p, created, err := a.accept(req, idempotent, stream || req.Detached, watch)
	if err != nil {
		return err
	}
	a.concerns(r, p.Request.ID)
	switch {
	case stream:
		return a.stream(w, r, p, 0, !created)
	case created && prefer.async:
		writeSnapshot(w, http.StatusAccepted, p.Accepted())
	case created && prefer.wait > 0:
		a.waitDone(r, p, prefer.wait)
		writeCurrent(w, p)
	case !created && !p.Keep():
		text := "the " + p.Request.Method.Noun() + " with this id is being canceled, " +
			"because its client has left; try again later"
		return prediction.RefuseFor(time.Second, prediction.Conflict, text)
	default:
		writeCurrent(w, p)
	}
	return nil
}

// accept creates a prediction, and waits for its end unless the client does something else
// meanwhile.
func (a *API) accept(
	req prediction.Request, idempotent, meanwhile bool, watch func() context.Context,
) (*prediction.Prediction, bool, error) {
	if !meanwhile {
		return a.Supervisor.Perform(watch, req, idempotent)
	}
	watch()
	return a.Supervisor.Create(req, idempotent)
}

// waitDone waits until the prediction has finished, limit is over, or the client has left. It
// reports whether the prediction has finished.
func (a *API) waitDone(r *http.Request, p *prediction.Prediction, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	defer p.Attach()()
	select {
	case <-p.Done():
		return true
	case <-timer.C:
	case <-r.Context().Done():
	}
	return false
}

// get answers with a prediction or training; with only set, with one of that method.
func (a *API) get(only prediction.Method) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		p, err := find(r, only, a.Supervisor.Get)
		if err != nil {
			return err
		}
		writeSnapshot(w, http.StatusOK, p.Snapshot())
		return nil
	}
}

// find returns the prediction or training with the id of the path. Both share their ids, and a
// client that polls an id need not know which it is. Only the paths of trainings refuse
// predictions.
func find(
	r *http.Request, only prediction.Method, get func(id string) (*prediction.Prediction, error),
) (*prediction.Prediction, error) {
	p, err := get(r.PathValue("id"))
	if err == nil && only != "" && p.Request.Method != only {
		return nil, prediction.Refuse(prediction.NotFound,
			"no "+only.Noun()+" has this id, but a "+p.Request.Method.Noun())
	}
	return p, err
}

// writeCurrent answers with the current state. 202 says that it will still change.
func writeCurrent(w http.ResponseWriter, p *prediction.Prediction) {
	s := p.Snapshot()
	status := http.StatusAccepted
	if s.Status.Terminal() {
		status = http.StatusOK
	}
	writeSnapshot(w, status, s)
}

// training refuses requests for trainings if the model has no train function.
func (a *API) training(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		other := a.Shared && r.PathValue("id") != "" && r.Method != http.MethodPut // of any model
		if m, err := a.model(r); err == nil && m.Train() == nil && !other {
			return prediction.Refuse(prediction.NotFound, "this model has no train")
		}
		return next(w, r)
	}
}
