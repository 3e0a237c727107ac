package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/schema"
	"github.com/coggo/coggo/internal/spool"
)

// note is what the server writes down of a prediction for a later server.
type note struct {
	ID            string            `json:"id"`
	Run           string            `json:"run"` // the same id can be run again: this tells the runs apart
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

func noteOf(r prediction.Request, run string, final []byte) note {
	n := note{
		ID: r.ID, Run: run, Method: r.Method, Input: r.Input, More: r.More, Webhook: r.Webhook, WebhookEvents: r.WebhookEvents, OutputPrefix: r.OutputPrefix,
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
	data, err := json.Marshal(noteOf(f.prediction.Request, f.run, nil))
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
	if err := s.queued.Put(f.id(), noteOf(f.prediction.Request, f.run, nil)); err != nil {
		return unwritable(err)
	}
	return nil
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
		err = s.outbox.Put(f.run, noteOf(r, f.run, f.final))
	}
	if f.lasting && s.retained.enabled() {
		err = errors.Join(err, s.results.Put(f.run, noteOf(r, f.run, f.final)))
	}
	if f.queued {
		err = errors.Join(err, s.queued.Remove(f.id()))
	}
	return err
}

// paid forgets the terminal webhook of a run that was delivered or refused for good.
func (s *Supervisor) paid(run string) {
	if !s.Durable {
		return
	}
	if err := s.outbox.Remove(run); err != nil {
		s.Log.Error("forget a delivered webhook", "run", run, "error", err)
	}
}

// forgetNotes removes the notes of results that are not retained any more.
func (s *Supervisor) forgetNotes(runs ...string) {
	for _, run := range runs {
		if err := s.results.Remove(run); err != nil {
			s.Log.Error("forget a result", "run", run, "error", err)
		}
	}
}

// left is a prediction that an earlier server had not ended.
type left struct {
	*flight
	dir     *spool.Dir // where its request is; nil when no runner had it
	request spool.Request
}

// readLeft registers what an earlier server left: finished predictions as they are, the others until settleLeft ends them.
// One bad file must not keep the server from serving: it is told and passed over.
func (s *Supervisor) readLeft() error {
	if !s.Durable {
		return nil
	}
	dirs, err := s.leftDirs()
	bad := errors.Join(s.recoverResults(), s.outbox.Each(s.recoverOwed))
	for _, dir := range dirs {
		list, unread := dir.List()
		bad = errors.Join(bad, unread)
		for _, id := range list.Requests {
			bad = errors.Join(bad, s.readRequest(dir, id))
		}
	}
	bad = errors.Join(bad, s.queued.Each(s.readQueued))
	if bad != nil {
		s.Log.Error("recover", "error", bad)
	}
	return err
}

// leftDirs are the directories where earlier servers had runners; they may have had more of them than this one.
func (s *Supervisor) leftDirs() ([]*spool.Dir, error) {
	paths, _ := filepath.Glob(filepath.Join(s.WorkingDir, runnerPrefix+"*")) // the pattern is valid
	dirs := []*spool.Dir{s.root}
	for _, path := range paths {
		dir, err := spool.Open(path)
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}

// settleLeft ends what readLeft has registered: finished responses by delivering them, everything else as failed, or by
// running it again with Rerun. What no runner had yet runs now. No file of a prediction is left then.
func (s *Supervisor) settleLeft() error {
	if !s.Durable {
		return nil
	}
	owed := s.outbox.Each(s.recoverWebhook)
	again := make([]*flight, len(s.left))
	failed := make([]error, len(s.left))
	var all sync.WaitGroup // side by side: outputs may have to be uploaded
	for i, l := range s.left {
		all.Go(func() { again[i], failed[i] = s.resume(l) })
	}
	all.Wait()
	s.left = nil
	if bad := errors.Join(owed, errors.Join(failed...)); bad != nil {
		s.Log.Error("recover", "error", bad)
	}
	dirs, err := s.leftDirs()
	for _, dir := range dirs {
		if dir == s.root || s.uses(dir) {
			err = errors.Join(err, dir.Empty())
		} else {
			err = errors.Join(err, os.RemoveAll(dir.Path()))
		}
	}
	for i, f := range again {
		if f != nil && failed[i] == nil {
			s.enqueue(f)
		}
	}
	return err
}

func (s *Supervisor) uses(dir *spool.Dir) bool {
	return slices.ContainsFunc(s.workers, func(w *worker) bool { return w.dir.Path() == dir.Path() })
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
	for _, f := range found {
		s.retainAgain(f)
	}
	return err
}

// retainAgain retains f in place of an earlier result of its id.
func (s *Supervisor) retainAgain(f *flight) {
	s.supersede(f)
	s.retained.add(f.id(), f.prediction.Size(), f.accepted)
}

// supersede registers f in place of an earlier result of its id.
func (s *Supervisor) supersede(f *flight) {
	if old := s.flights[f.id()]; old != nil {
		s.retained.remove(f.id())
		s.forgetNotes(old.run)
	}
	s.flights[f.id()] = f
}

// recoverOwed retains the result of a run whose webhook is owed, where the crash came before that was noted too.
func (s *Supervisor) recoverOwed(data []byte) error {
	f, err := s.readResult(data)
	if err != nil || !s.retained.enabled() {
		return err
	}
	if known := s.flights[f.id()]; known != nil && (known.run == f.run || known.accepted.After(f.accepted)) {
		return nil
	}
	s.retainAgain(f)
	return s.results.Put(f.run, json.RawMessage(data))
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
	f.run = n.Run
	f.prediction = prediction.Restore(n.request(), final.StartedAt, final.Logs, prediction.Result{
		Status: final.Status, Output: final.Output, Error: final.Error, Metrics: final.Metrics, CompletedAt: final.CompletedAt,
	})
	f.accepted, f.settled, f.lasting = final.CompletedAt, true, true
	return f, nil
}

func (s *Supervisor) recoverWebhook(data []byte) error {
	var n note
	if err := json.Unmarshal(data, &n); err != nil {
		return err
	}
	s.Webhooks.Redeliver(target(n.request()), n.Final, func() { s.paid(n.Run) })
	return nil
}

// readQueued registers a prediction that no runner had, unless readRequest knows better.
func (s *Supervisor) readQueued(data []byte) error {
	var n note
	if err := json.Unmarshal(data, &n); err != nil {
		return err
	}
	if s.knows(n) {
		return s.queued.Remove(n.ID)
	}
	s.takeUp(left{flight: s.flightOf(n)})
	return nil
}

func (s *Supervisor) readRequest(dir *spool.Dir, fileID string) error {
	request, ok, err := dir.Request(fileID)
	if err != nil || !ok {
		return err
	}
	var n note
	if err := json.Unmarshal(request.Server, &n); err != nil {
		return fmt.Errorf("request %s has no notes: %w", request.ID, err)
	}
	if s.knows(n) { // its end was noted before the crash
		return dir.Remove(n.ID, false)
	}
	f := s.flightOf(n)
	f.checked.Input = request.Input
	if started, err := time.Parse(time.RFC3339Nano, request.StartedAt); err == nil {
		f.prediction.Start(started)
	}
	s.takeUp(left{f, dir, request})
	return nil
}

// knows reports whether this run was registered, or has ended and is still owed to its receiver.
func (s *Supervisor) knows(n note) bool {
	f := s.flights[n.ID]
	return f != nil && f.run == n.Run || s.outbox.Has(n.Run)
}

func (s *Supervisor) flightOf(n note) *flight {
	f := s.newFlight(n.request(), schema.Checked{})
	f.run, f.lasting = n.Run, true
	return f
}

// takeUp registers l; nothing else runs yet.
func (s *Supervisor) takeUp(l left) {
	s.supersede(l.flight)
	s.left = append(s.left, l)
}

// resume ends a prediction that an earlier server had in flight, or returns what runs in its place.
func (s *Supervisor) resume(l left) (again *flight, err error) {
	if l.dir == nil {
		return s.again(l)
	}
	result, finished := s.leftBy(l)
	if !finished && s.Rerun {
		return s.again(l)
	}
	f := l.flight
	f.dir, f.queued = l.dir, true
	if r := f.prediction.Request; r.Webhook != "" {
		f.hook = s.Webhooks.Open(f.target(), f.partial)
	}
	s.settle(f, nil, result)
	s.Log.Info("recovered", "id", f.id(), "status", result.Status)
	return nil, nil
}

// leftBy is the result that the runner of an earlier server left, or the one that says there is none.
func (s *Supervisor) leftBy(l left) (prediction.Result, bool) {
	o := follower{s: s, f: l.flight, dir: l.dir, process: buried{}, events: l.dir.Events(l.id())}
	defer o.events.Close()
	result, ended, err := o.read(l.ctx, false)
	switch {
	case ended:
		return result, true
	case err != nil:
		return o.failed(illegible(err).Error()), false
	}
	return o.failed("the server restarted before the prediction ended"), false
}

// again notes that a prediction is to run from its beginning; its inputs are checked and downloaded once the model is ready.
func (s *Supervisor) again(l left) (*flight, error) {
	f := s.newFlight(l.prediction.Request, schema.Checked{})
	f.run, f.lasting, f.unchecked = l.run, true, true
	return f, s.noteQueued(f)
}

// enqueue lets a prediction wait for a slot, however many wait already.
func (s *Supervisor) enqueue(f *flight) {
	s.mu.Lock()
	s.flights[f.id()] = f
	s.queue = append(s.queue, f)
	s.idle.Add(1)
	s.mu.Unlock()
	go s.run(f)
}

// buried stands for the process of an earlier server: the kernel ended it with its parent.
type buried struct{ process }

func (buried) Drain()      {}
func (buried) Ring() error { return nil }
