package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/schema"
	"github.com/coggo/coggo/internal/spool"
)

// note is what the server writes down of a prediction for a later server.
type note struct {
	ID            string            `json:"id"`
	Method        prediction.Method `json:"method"`
	Input         json.RawMessage   `json:"input,omitempty"` // as sent
	Echo          json.RawMessage   `json:"echo,omitempty"`  // only when it differs from Input
	More          json.RawMessage   `json:"more,omitempty"`
	Webhook       string            `json:"webhook,omitempty"`
	WebhookEvents []string          `json:"webhook_events_filter"` // null means all
	OutputPrefix  string            `json:"output_file_prefix,omitempty"`
	Context       map[string]string `json:"context,omitempty"`
	CreatedAt     string            `json:"created_at"`
	TraceParent   string            `json:"traceparent,omitempty"`
	TraceState    string            `json:"tracestate,omitempty"`
	CancelAfter   time.Duration     `json:"cancel_after,omitempty"`
	Detached      bool              `json:"detached,omitempty"`
	Final         json.RawMessage   `json:"final,omitempty"` // the terminal snapshot
}

func noteOf(r prediction.Request, final []byte) note {
	n := note{
		ID: r.ID, Method: r.Method, Input: r.Input, More: r.More, Webhook: r.Webhook, WebhookEvents: r.WebhookEvents, OutputPrefix: r.OutputPrefix,
		Context: r.Context, CreatedAt: r.CreatedAt, TraceParent: r.TraceParent, TraceState: r.TraceState,
		CancelAfter: r.CancelAfter, Detached: r.Detached, Final: final,
	}
	if string(r.Echo) != string(r.Input) {
		n.Echo = r.Echo
	}
	return n
}

func (n note) request() prediction.Request {
	r := prediction.Request{
		ID: n.ID, Method: n.Method, Input: n.Input, Echo: n.Echo, More: n.More, Webhook: n.Webhook, WebhookEvents: n.WebhookEvents, OutputPrefix: n.OutputPrefix,
		Context: n.Context, CreatedAt: n.CreatedAt, TraceParent: n.TraceParent, TraceState: n.TraceState,
		CancelAfter: n.CancelAfter, Detached: n.Detached,
	}
	if r.Echo == nil {
		r.Echo = r.Input
	}
	return r
}

// notesOf is what the request file says to a later server.
func notesOf(f *flight) json.RawMessage {
	data, err := json.Marshal(noteOf(f.prediction.Request, nil))
	if err != nil {
		return nil // every member was valid JSON when it came
	}
	return data
}

// noteQueued makes an accepted prediction that no runner has yet known to a later server.
func (s *Supervisor) noteQueued(f *flight) error {
	defer f.note()
	if !s.Durable || !f.prediction.Request.Detached {
		return nil
	}
	f.queued = true
	return s.queued.Put(f.id(), noteOf(f.prediction.Request, nil))
}

// noteFinal writes down what is still owed of a finished prediction: the result, for those who did not wait for it,
// and the terminal webhook.
func (s *Supervisor) noteFinal(f *flight) error {
	if !s.Durable {
		return nil
	}
	var err error
	r := f.prediction.Request
	r.Input = r.Echo // nothing will run again, so no secret need stay
	if f.hook != nil && r.Wants("completed") {
		err = s.outbox.Put(f.id(), noteOf(r, f.final))
	}
	if r.Detached && s.retained.enabled() {
		err = errors.Join(err, s.results.Put(f.id(), noteOf(r, f.final)))
	}
	if f.queued {
		err = errors.Join(err, s.queued.Remove(f.id()))
	}
	return err
}

// paid forgets a terminal webhook that was delivered or refused for good.
func (s *Supervisor) paid(id string) {
	if !s.Durable {
		return
	}
	if err := s.outbox.Remove(id); err != nil {
		s.Log.Error("forget a delivered webhook", "id", id, "error", err)
	}
}

// forgetNote removes the note of a result that is not retained any more.
func (s *Supervisor) forgetNote(id string) {
	if !s.Durable {
		return
	}
	if err := s.results.Remove(id); err != nil {
		s.Log.Error("forget a result", "id", id, "error", err)
	}
}

// recover takes up what an earlier server left: results and undelivered webhooks as they are, finished responses by
// delivering them, everything else by ending it as failed, or by running it again with Rerun.
func (s *Supervisor) recover() error {
	if !s.Durable {
		return nil
	}
	err := s.recoverResults()
	err = errors.Join(err, s.outbox.Each(s.recoverWebhook))
	for _, w := range s.workers {
		list, bad := w.dir.List()
		err = errors.Join(err, bad)
		for _, id := range list.Requests {
			err = errors.Join(err, s.recoverRequest(w, id))
		}
	}
	err = errors.Join(err, s.queued.Each(s.recoverQueued))
	if err != nil {
		s.Log.Error("recover", "error", err) // one bad file must not keep the server from serving
	}
	return nil
}

// snapshotNote reads back what Snapshot wrote.
type snapshotNote struct {
	Status      prediction.Status `json:"status"`
	Output      json.RawMessage   `json:"output"`
	Error       string            `json:"error"`
	Logs        string            `json:"logs"`
	Metrics     json.RawMessage   `json:"metrics"`
	StartedAt   time.Time         `json:"started_at"`
	CompletedAt time.Time         `json:"completed_at"`
}

// recoverResults retains again, in the order of their ends, what was retained before.
func (s *Supervisor) recoverResults() error {
	var found []*flight
	err := s.results.Each(func(data []byte) error {
		f, err := s.readResult(data)
		if err == nil {
			found = append(found, f)
		}
		return err
	})
	slices.SortFunc(found, func(a, b *flight) int { return a.accepted.Compare(b.accepted) })
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range found {
		s.flights[f.id()] = f
		s.retained.add(f.id(), f.prediction.Size(), f.accepted)
	}
	return err
}

func (s *Supervisor) readResult(data []byte) (*flight, error) {
	var n note
	var final snapshotNote
	if err := json.Unmarshal(data, &n); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(n.Final, &final); err != nil {
		return nil, err
	}
	f := s.newFlight(n.request(), schema.Checked{})
	f.prediction = prediction.Restore(n.request(), final.StartedAt, final.Logs, prediction.Result{
		Status: final.Status, Output: final.Output, Error: final.Error, Metrics: final.Metrics, CompletedAt: final.CompletedAt,
	})
	f.accepted, f.settled = final.CompletedAt, true
	return f, nil
}

func (s *Supervisor) recoverWebhook(data []byte) error {
	var n note
	if err := json.Unmarshal(data, &n); err != nil {
		return err
	}
	s.Webhooks.Redeliver(target(n.request()), n.Final, func() { s.paid(n.ID) })
	return nil
}

func (s *Supervisor) recoverQueued(data []byte) error {
	var n note
	if err := json.Unmarshal(data, &n); err != nil {
		return err
	}
	s.mu.Lock()
	known := s.flights[n.ID] != nil
	s.mu.Unlock()
	if known { // it was handed over before the crash
		return s.queued.Remove(n.ID)
	}
	return s.resume(nil, n, spool.Request{})
}

func (s *Supervisor) recoverRequest(w *worker, fileID string) error {
	request, ok, err := w.dir.Request(fileID)
	if err != nil || !ok {
		return err
	}
	var n note
	if err := json.Unmarshal(request.Server, &n); err != nil {
		return fmt.Errorf("request %s has no notes: %w", request.ID, err)
	}
	s.mu.Lock()
	known := s.flights[n.ID] != nil
	s.mu.Unlock()
	if known || s.outbox.Has(n.ID) { // its end was noted before the crash
		return w.dir.Remove(n.ID, false)
	}
	return s.resume(w, n, request)
}

// resume ends or repeats a prediction that an earlier server had in flight.
func (s *Supervisor) resume(w *worker, n note, request spool.Request) error {
	r := n.request()
	f := s.newFlight(r, schema.Checked{Input: request.Input})
	f.queued = true
	if r.Webhook != "" {
		f.hook = s.Webhooks.Open(target(r), f.partial)
	}
	s.mu.Lock()
	s.flights[n.ID] = f
	s.mu.Unlock()
	result, finished := s.leftBy(w, f, request)
	if !finished && s.Rerun {
		return s.rerun(w, f)
	}
	s.settle(f, w, result)
	s.Log.Info("recovered", "id", n.ID, "status", result.Status)
	return nil
}

// leftBy is the result that the runner of an earlier server left, or the one that says there is none.
func (s *Supervisor) leftBy(w *worker, f *flight, request spool.Request) (prediction.Result, bool) {
	lost := prediction.Result{Status: prediction.Failed, Error: "the server restarted before the prediction ended", CompletedAt: s.Now()}
	if w == nil {
		return lost, false
	}
	if started, err := time.Parse(time.RFC3339Nano, request.StartedAt); err == nil {
		f.prediction.Start(started)
	}
	o := follower{s: s, f: f, w: w, process: buried{}, events: w.dir.Events(f.id())}
	defer o.events.Close()
	if result, ended := o.read(f.ctx); ended {
		return result, true
	}
	return lost, false
}

// rerun begins a prediction again; its inputs are checked and downloaded anew once the model is ready.
func (s *Supervisor) rerun(w *worker, f *flight) error {
	if w != nil {
		if err := w.dir.Remove(f.id(), false); err != nil {
			return err
		}
	}
	fresh := s.newFlight(f.prediction.Request, schema.Checked{})
	fresh.unchecked = true
	if err := s.noteQueued(fresh); err != nil {
		return err
	}
	s.mu.Lock()
	s.flights[fresh.id()] = fresh
	s.queue = append(s.queue, fresh)
	s.idle.Add(1)
	s.mu.Unlock()
	go s.run(fresh)
	return nil
}

// buried stands for the process of an earlier server: the kernel ended it with its parent.
type buried struct{ process }

func (buried) Drain()      {}
func (buried) Ring() error { return nil }
