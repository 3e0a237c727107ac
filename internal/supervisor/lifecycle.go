package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/coggo/coggo/internal/admission"
	"github.com/coggo/coggo/internal/files"
	"github.com/coggo/coggo/internal/pool"
	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/schema"
	"github.com/coggo/coggo/internal/spool"
	"github.com/coggo/coggo/internal/webhook"
)

// rescan is how often the server looks at a prediction without a signal, because signals merge and
// may be lost.
const rescan = time.Second

// run takes an admitted prediction from top to bottom, and finishes it. Only leftovers of an
// earlier server are finished elsewhere (resolve).
func (s *Supervisor) run(f *flight) {
	defer s.idle.Done()
	ctx, cancel := s.withDeadline(f)
	defer cancel()
	r := f.prediction.Request
	f.span = s.config.Tracer.Prediction(
		r.ID, string(r.Method), r.TraceParent, r.TraceState, f.accepted)
	if r.Lease != nil {
		f.span.Past("queue", f.accepted, s.config.Now())
	}
	if r.Webhook != "" {
		f.hook = s.config.Webhooks.Open(f.target(), f.partial)
	}
	s.keepRoom(f)
	if f.replaces != "" {
		s.forgetResults(f.replaces)
	}
	f.tellUnknown()
	w, result := s.execute(ctx, f)
	if w == nil && s.writesEnd(f) {
		if !f.journaled || reasonOf(ctx) != ByShutdown {
			s.turns.take()
		} else if !s.turns.takeInTime() {
			s.left.Add(1) // its entry is on disk: the next server runs it
			return
		}
		defer s.turns.give()
	}
	s.finish(f, w, result)
}

// execute returns the result and the worker of the prediction. The worker is nil if the prediction
// never got one.
func (s *Supervisor) execute(ctx context.Context, f *flight) (*worker, prediction.Result) {
	w, err := s.await(ctx, f)
	if err != nil {
		return w, s.ended(f, err)
	}
	w, process, err := s.launch(ctx, f, w)
	for errors.Is(err, errOutdated) {
		f.outdate()
		w, process, err = s.launch(ctx, f, w)
	}
	if err != nil {
		f.predict.End(err.Error())
		return w, s.ended(f, err)
	}
	follow := follower{
		s: s, f: f, w: w, dir: w.dir, process: process,
		lent: w.lent(process), events: w.dir.Events(f.ID()),
	}
	begun := s.config.Now()
	result := follow.run(ctx)
	f.wasQuick = result.CompletedAt.Sub(begun) < s.config.Runner.BusyPoll
	f.predict.EndAt(result.CompletedAt, result.Error)
	return w, result
}

// launch gives a prediction that has a slot, or permission to fetch, to a runner. It returns
// errOutdated if the input was checked against another model than the one that is loaded now.
func (s *Supervisor) launch(ctx context.Context, f *flight, w *worker) (*worker, process, error) {
	var err error
	if f.recheck {
		if w, err = s.check(ctx, f, w); err != nil {
			return w, nil, err
		}
	}
	w, table, err := s.place(ctx, f, w)
	if err != nil {
		return w, nil, err
	}
	process, err := s.handOver(ctx, f, w, table)
	return w, process, err
}

// withDeadline bounds the prediction by its own deadline or the server's, whichever comes first.
func (s *Supervisor) withDeadline(f *flight) (context.Context, context.CancelFunc) {
	r := f.prediction.Request
	at := r.Deadline
	if at.IsZero() && r.CancelAfter > 0 {
		at = s.config.Now().Add(r.CancelAfter)
	}
	f.deadline = r.CancelAfter
	if limit := s.config.PredictTimeout; limit > 0 {
		if own := s.config.Now().Add(limit); at.IsZero() || own.Before(at) {
			at, f.deadline = own, limit
		}
	}
	if at.IsZero() {
		return f.ctx, func() {}
	}
	return context.WithDeadlineCause(f.ctx, at, ByDeadline)
}

// await waits for a slot, or for permission to fetch files without one: then there is no worker. If
// a client may ask for the prediction after a crash, await writes a journal entry first.
func (s *Supervisor) await(ctx context.Context, f *flight) (*worker, error) {
	select {
	case w := <-f.turn:
		return w, nil
	default:
	}
	f.startDisconnectWatch()
	err := s.journalQueued(f)
	if err == nil {
		select {
		case w := <-f.turn:
			return w, nil
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	s.mu.Lock()
	s.pool.Withdraw(f)
	s.mu.Unlock()
	select {
	case w := <-f.turn: // given in the meantime
		return w, err
	default:
		return nil, err
	}
}

// check checks the input of a prediction that was recovered before there was a schema. The
// prediction keeps its slot only if it has no files to fetch.
func (s *Supervisor) check(ctx context.Context, f *flight, w *worker) (*worker, error) {
	s.mu.Lock()
	// The prediction is already accepted, so a shutdown does not refuse it.
	input, err := admission.Input(s.schema, f.prediction.Request.Method)
	s.mu.Unlock()
	if err != nil {
		return w, err
	}
	checked, problems, err := s.checks.Check(input, f.prediction.Request.Input, 0)
	if err != nil {
		return w, err
	}
	if len(problems) > 0 {
		return w, fmt.Errorf(
			"the input no longer fits the model: %v %s", problems[0].Loc, problems[0].Msg)
	}
	f.setChecked(input, checked)
	f.tellUnknown()
	if !f.fetches {
		return w, nil
	}
	if err := s.stepAside(f); err != nil {
		return nil, err
	}
	return s.await(ctx, f)
}

// place fetches the input files, and returns the file table of the request. A prediction that had
// no slot has one afterwards.
func (s *Supervisor) place(
	ctx context.Context, f *flight, w *worker,
) (*worker, []spool.File, error) {
	if len(f.checked.Files) == 0 {
		return w, nil, nil
	}
	placed, err := s.fetch(ctx, f)
	if err != nil {
		return w, nil, err
	}
	if w == nil {
		s.fetchDone(f)
		if w, err = s.await(ctx, f); err != nil {
			return w, nil, err
		}
	}
	table := make([]spool.File, len(placed))
	for i, p := range placed {
		table[i] = spool.File{Pointer: p.Pointer, Path: p.Path}
	}
	return w, table, nil
}

// fetch downloads the input files to a directory of the prediction.
func (s *Supervisor) fetch(ctx context.Context, f *flight) ([]files.Placed, error) {
	f.startDisconnectWatch()
	if err := s.journalQueued(f); err != nil {
		return nil, err
	}
	sources := make([]files.Source, len(f.checked.Files))
	for i, in := range f.checked.Files {
		sources[i] = files.Source(in)
	}
	if err := s.makeInputs(f); err != nil {
		return nil, fmt.Errorf("the temporary directory can't be written: %w", errnoOnly(err))
	}
	span := f.span.Child("download", trace.SpanKindClient)
	header := span.Header(f.prediction.Request.TraceHeader())
	placed, err := s.config.Fetcher.Fetch(ctx, f.inputs, sources, header)
	span.End(errText(err))
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return placed, err
}

// makeInputs makes the directory for the input files.
func (s *Supervisor) makeInputs(f *flight) error {
	dir, err := s.config.Inputs()
	if err == nil {
		f.inputs, err = os.MkdirTemp(dir, "")
	}
	return err
}

// ended returns the result of a prediction that ended before the model ran, or without a response.
func (s *Supervisor) ended(f *flight, err error) prediction.Result {
	r := prediction.Result{
		Status: prediction.Failed, Error: err.Error(), CompletedAt: s.config.Now(),
	}
	if reason := asReason(err); reason != "" {
		r.Status, r.Error = reason.ending(f)
	}
	return r
}

// shutDown is the error of a prediction that a shutdown cut short.
const shutDown = "the server shut down before the prediction ended"

// ending returns the status and error of a prediction that was canceled for reason r.
func (r Reason) ending(f *flight) (prediction.Status, string) {
	switch r {
	case ByDeadline:
		return prediction.Canceled, fmt.Sprintf("canceled at its deadline of %s", f.deadline)
	case ByShutdown:
		return prediction.Failed, shutDown
	case ByReload:
		return prediction.Failed, "the model was reloaded before the prediction ended"
	default:
		return prediction.Canceled, ""
	}
}

// handOver writes the request for the runner of w.
func (s *Supervisor) handOver(
	ctx context.Context, f *flight, w *worker, table []spool.File,
) (process, error) {
	r := f.prediction.Request
	p, err := w.hand(ctx, f)
	if err != nil {
		return nil, err
	}
	f.predict = f.span.Child("predict", trace.SpanKindInternal)
	traceParent, traceState := f.predict.Context(r.TraceParent, r.TraceState)
	now := s.config.Now()
	request := spool.Request{
		ID: r.ID, Method: string(r.Method), Input: f.checked.Input, Files: table,
		Context: r.Context, CreatedAt: r.CreatedAt, StartedAt: prediction.Time(now),
		TraceParent: traceParent, TraceState: traceState,
		Watched: f.expectQuick,
	}
	if deadline, ok := ctx.Deadline(); ok {
		request.Deadline = prediction.Time(deadline)
	}
	if s.config.Durable {
		request.Server = requestEntry(f)
	}
	f.prediction.Start(now)
	var begun webhook.Body // made before the run can change anything
	if f.hook != nil {
		begun = f.partial()
	}
	if lent := w.lent(p); lent != nil {
		err := lent.Begin(func(stream string, text []byte) {
			s.config.Output(f.origin(w, stream), text)
			f.written(stream, text)
		})
		if err != nil {
			return nil, unwritableError(err)
		}
	}
	if err := w.dir.PutRequest(request); err != nil {
		if errors.Is(err, fs.ErrNotExist) { // a model may have removed it
			p.Kill("the model has removed the working directory")
			return nil, fmt.Errorf(
				"the working directory is gone, and the model is being restarted: %w", err)
		}
		return nil, unwritableError(err)
	}
	f.markDurable()
	if f.hook != nil {
		f.hook.Start(begun)
	}
	return p, nil
}

// finish ends a prediction. It writes the journal entries, removes the files, frees the slot, and
// only then publishes the end.
func (s *Supervisor) finish(f *flight, w *worker, r prediction.Result) {
	p := f.prediction
	p.Finish(r)
	f.span.Status(string(r.Status))
	f.span.EndAt(r.CompletedAt, r.Error)
	s.keepRoom(f)
	err := s.journalEnd(f)
	if err != nil {
		s.shelve(f)
	}
	s.clean(f)
	if err != nil {
		err = s.journalEnd(f) // the removed files may have made room
	}
	if err != nil {
		s.config.Log.Error("write the journal entry of a finished prediction",
			"id", f.ID(), "error", err)
	}
	f.markDurable()
	s.release(f, w)
	p.Publish()
	f.cancelBy(nil)
	if f.hook != nil {
		if r.Output.Raw != nil && string(r.Output.Raw) != "null" {
			f.hook.Returned()
		}
		f.hook.Finish(s.owe(f))
	}
	// A retained prediction needs none of these, and watch holds a connection.
	f.owed, f.checked, f.against, f.watch = nil, schema.Checked{}, nil, nil
	s.observe(f)
}

// clean removes the files of the prediction. If its runner is still running it, clean removes only
// the request, so that a later server does not finish the prediction again.
func (s *Supervisor) clean(f *flight) {
	if f.stage != stageAbandoned {
		s.removeFiles(f)
	} else if err := f.dir.Withdraw(f.ID()); err != nil {
		s.config.Log.Error("remove the request of a prediction", "id", f.ID(), "error", err)
	}
}

// removeFiles removes every file of a prediction.
func (s *Supervisor) removeFiles(f *flight) {
	var err error
	if f.dir != nil {
		err = f.dir.Remove(f.ID(), f.noSideFiles)
	}
	if f.inputs != "" {
		err = errors.Join(err, os.RemoveAll(f.inputs))
	}
	if err != nil {
		s.config.Log.Error("remove the files of a prediction", "id", f.ID(), "error", err)
	}
}

// release frees the slot, and keeps the flight for clients that ask later.
func (s *Supervisor) release(f *flight, w *worker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	finished := s.pool.Finish(f, f.slot, s.config.Now())
	f.slot = pool.Slot{}
	if w != nil {
		w.leftLocked(f, finished.Abandoned)
	}
	s.grantLocked(finished.Grants...)
	s.forgetLocked(finished.Expired)
}

// expireLocked forgets the finished predictions that are too old or too many.
func (s *Supervisor) expireLocked() { s.forgetLocked(s.pool.Expire(s.config.Now())) }

// forgetLocked removes the journal entries of predictions that are no longer retained. It does so
// without the lock. Because entries are named by runs, the id may be in use again.
func (s *Supervisor) forgetLocked(expired []*flight) {
	var journaled []string
	for _, f := range expired {
		if s.config.Durable && f.keepResult {
			journaled = append(journaled, f.run)
		}
	}
	if len(journaled) > 0 {
		go s.forgetInTurn(journaled)
	}
}

func (s *Supervisor) forgetInTurn(runs []string) {
	if s.turns.takeInTime() { // otherwise the next server does it
		defer s.turns.give()
		s.forgetResults(runs...)
	}
}

func (s *Supervisor) observe(f *flight) {
	snap := f.prediction.Snapshot()
	ran := 0.0
	if !snap.StartedAt.IsZero() {
		ran = snap.CompletedAt.Sub(snap.StartedAt).Seconds()
		s.config.Observer.PredictionRan(ran, snap.StartedAt.Sub(f.accepted).Seconds())
	}
	s.config.Observer.PredictionFinished(string(snap.Status))
	s.reportEnd(f, snap, ran)
}
