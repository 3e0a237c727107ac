package supervisor

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/schema"
	"github.com/coggo/coggo/internal/spool"
)

// journalQueued writes the journal entry of an accepted prediction that no runner has yet.
func (s *Supervisor) journalQueued(f *flight) error {
	defer f.markDurable()
	if !s.config.Durable || f.journaled || !f.prediction.Request.Detached {
		return nil
	}
	entry := prediction.NewEntry(f.prediction.Request, f.run).Encode().Bytes()
	if err := s.queued.Put(f.ID(), entry); err != nil {
		return unwritableError(err)
	}
	f.journaled = true
	return nil
}

// journalEnd writes the journal entries of a finished prediction: the result, for clients that did
// not wait for it, and the terminal webhook if it is not delivered.
func (s *Supervisor) journalEnd(f *flight) error {
	if !s.config.Durable {
		return nil
	}
	owed, lasting := f.owes() && f.owed == nil, f.keepResult && s.pool.Retains()
	var err error
	if owed || lasting {
		var head []byte
		end := endOf(f.prediction.Final())
		head, err = s.endEntry(f, end)
		if owed {
			text, bad := s.outbox.PutEnd(f.run, head, end)
			if err = errors.Join(err, bad); bad == nil {
				f.owed = text
			}
		}
		if lasting {
			_, bad := s.results.PutEnd(f.run, head, end)
			err = errors.Join(err, bad)
		}
	}
	if f.journaled { // without this it would run again
		err = errors.Join(err, s.queued.Remove(f.ID()))
	}
	return err
}

// writesEnd reports whether the end of f changes a journal.
func (s *Supervisor) writesEnd(f *flight) bool {
	return s.config.Durable && (f.journaled || f.keepResult || f.owes())
}

// keepRoom reserves disk space for the end of f, if it must be journaled.
func (s *Supervisor) keepRoom(f *flight) {
	if s.config.Durable && (f.hook != nil || f.keepResult) {
		_ = s.root.KeepRoom() // if the disk is full now, there may be space at the next prediction
	}
}

// endEntry returns the journal entry of an end, without the end itself. It has only the masked
// input: nothing will run again, so secrets need not stay. The seal recognizes a client that asks
// for the same run again.
func (s *Supervisor) endEntry(f *flight, end spool.End) (head []byte, err error) {
	n := prediction.NewEntry(f.prediction.Request, f.run)
	if n.MaskedInput != nil && n.Input != nil {
		n.Sealed = f.prediction.Request.Seal(s.key)
		err = s.root.PutKey(s.key)
	}
	n.Input, n.MaskedInput, n.OutputAt = nil, nil, end.OutputAt
	return n.Encode().Bytes(), err
}

// endOf returns the end of a prediction for a journal entry.
func endOf(final prediction.Snapshot) spool.End {
	if !final.OnDisk() {
		return spool.End{Final: final}
	}
	output := final.JustOutput()
	final.Output, final.Items = prediction.Value{}, nil
	return spool.End{Final: final, Output: output, OutputAt: final.OutputAt()}
}

// shelve keeps the request of a run whose end could not be journaled and whose webhook is not
// delivered, so that a later server finishes it again. The request takes the place of the entry of
// the end, which replaces it once there is space.
func (s *Supervisor) shelve(f *flight) {
	if f.dir == nil || f.owed != nil || !f.owes() {
		return
	}
	err := s.outbox.Take(f.dir, f.ID(), f.run)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // it may never have been written
		s.config.Log.Error("keep a request whose end can't be journaled",
			"id", f.ID(), "error", err)
	}
}

// openKey reads the key of seals, or makes one. The key is on disk before the first seal.
func (s *Supervisor) openKey() error {
	key, ok, err := s.root.Key()
	if err == nil && !ok {
		key = make([]byte, sha256.Size)
		_, _ = rand.Read(key) // never fails, see crypto/rand
	}
	s.key = key
	return err
}

// markDelivered forgets the terminal webhook of a run that was delivered, or refused for good.
func (s *Supervisor) markDelivered(run string) {
	if !s.config.Durable {
		return
	}
	if err := s.outbox.Remove(run); err != nil {
		s.config.Log.Error("forget a delivered webhook", "run", run, "error", err)
	}
}

// forgetResults removes the journal entries of results that are no longer retained.
func (s *Supervisor) forgetResults(runs ...string) {
	for _, run := range runs {
		if err := s.results.Remove(run); err != nil {
			s.config.Log.Error("forget a result", "run", run, "error", err)
		}
	}
}

// leftover is a prediction that an earlier server did not finish.
type leftover struct {
	*flight
	dir     *spool.Dir // where its request is; nil if no runner had it
	shelved bool       // it has finished, but its end is not known any more
}

// loadLeftovers registers the predictions of an earlier server: finished ones as they are, the
// others until resolveLeftovers finishes them. Because one bad file must not keep the server from
// serving, it is logged and skipped.
func (s *Supervisor) loadLeftovers() error {
	if !s.config.Durable {
		return nil
	}
	dirs, err := s.leftoverDirs()
	bad := errors.Join(s.recoverResults(), s.outbox.Each(s.recoverOwed))
	for _, dir := range dirs {
		list, unread := dir.List()
		bad = errors.Join(bad, unread)
		for _, id := range list.Requests {
			unread = s.readRequest(dir, id)
			if passing(unread) { // resolveLeftovers would remove a file that can be read later
				return unread
			}
			bad = errors.Join(bad, unread)
		}
	}
	bad = errors.Join(bad, s.queued.Each(s.readQueued))
	if bad != nil {
		s.config.Log.Error("recover", "error", bad)
	}
	return err
}

// leftoverDirs returns the directories of the runners of earlier servers, which may have had more
// runners than this one.
func (s *Supervisor) leftoverDirs() ([]*spool.Dir, error) {
	// The pattern is valid.
	paths, _ := filepath.Glob(filepath.Join(s.config.WorkingDir, runnerPrefix+"*"))
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

// resolveLeftovers finishes the predictions that loadLeftovers registered. It takes over the
// responses of runners. It fails everything else, or runs it again with Rerun. Predictions that no
// runner had yet run now. Afterwards no file of a prediction is left.
func (s *Supervisor) resolveLeftovers() error {
	if !s.config.Durable {
		return nil
	}
	owed := s.outbox.Each(s.recoverWebhook)
	again := make([]*flight, len(s.leftovers))
	failed := make([]error, len(s.leftovers))
	var all sync.WaitGroup // in parallel, because outputs may have to be uploaded
	for i, l := range s.leftovers {
		all.Go(func() { again[i], failed[i] = s.resolve(l) })
	}
	all.Wait()
	s.leftovers = nil
	if owed != nil {
		s.config.Log.Error("recover", "error", owed)
	}
	if err := errors.Join(failed...); err != nil {
		return err // the requests stay where they are
	}
	dirs, err := s.leftoverDirs()
	for _, dir := range dirs {
		if dir == s.root || s.uses(dir) {
			err = errors.Join(err, dir.Empty())
		} else {
			err = errors.Join(err, os.RemoveAll(dir.Path()))
		}
	}
	for _, f := range again {
		if f != nil {
			s.enqueue(f)
		}
	}
	return err
}

func (s *Supervisor) uses(dir *spool.Dir) bool {
	return slices.ContainsFunc(s.workers, func(w *worker) bool {
		return w.dir.Path() == dir.Path()
	})
}

// recoverResults retains the results of an earlier server, in the order of their ends.
func (s *Supervisor) recoverResults() error {
	var found []*flight
	// Before they are read, because there may be many.
	err := s.results.Expire(s.config.Now().Add(-s.config.RetainFor))
	err = errors.Join(err, s.results.Each(func(data []byte) error {
		n, _, err := readEntry(data)
		if err != nil {
			return err
		}
		f, err := s.restore(s.results, n)
		if err == nil {
			found = append(found, f)
		}
		return err
	}))
	slices.SortFunc(found, func(a, b *flight) int { return a.accepted.Compare(b.accepted) })
	for _, f := range found {
		s.retainAgain(f)
	}
	return err
}

// retainAgain retains f in place of an earlier result of its id.
func (s *Supervisor) retainAgain(f *flight) {
	s.supersede(f, true)
}

// supersede registers f in place of an earlier result of its id.
func (s *Supervisor) supersede(f *flight, finished bool) {
	if old, found := s.pool.Recover(f, finished); found {
		s.forgetResults(old.run)
	}
}

// recoverOwed retains the result of a run whose webhook is not delivered, in case the server
// crashed before it journaled the result.
func (s *Supervisor) recoverOwed(data []byte) error {
	n, request, err := readEntry(data)
	if err != nil {
		return err
	}
	if n.Final == nil {
		s.adopt(leftover{flight: s.flightOf(n, request), shelved: true})
		return nil
	}
	f, err := s.restore(s.outbox, n)
	if err != nil || !s.pool.Retains() {
		return err
	}
	known, ok := s.pool.Get(f.ID())
	if ok && (known.run == f.run || known.accepted.After(f.accepted)) {
		return nil
	}
	s.retainAgain(f)
	if n.OutputAt > 0 {
		if err := s.results.CopyOutput(f.run, s.outbox); err != nil {
			return err
		}
	}
	return s.results.Put(f.run, data)
}

// restore makes a finished prediction from its journal entry.
func (s *Supervisor) restore(from *spool.Journal, n prediction.Entry) (*flight, error) {
	final, err := prediction.ReadSnapshot(n.Final)
	if err != nil {
		return nil, err
	}
	output := prediction.Value{Raw: final.Output}
	if n.OutputAt > 0 {
		text, err := from.Output(n.Run)
		if err != nil {
			return nil, err
		}
		output = prediction.Value{
			Raw: json.RawMessage{}, Inserts: []prediction.Insert{{Text: text}},
		}
	}
	n.Input = final.Input
	f := s.newFlight(n.Complete(), nil, schema.Checked{})
	f.run = n.Run
	f.prediction = final.Restored(n.Complete(), output)
	f.accepted, f.keepResult = final.CompletedAt, true
	return f, nil
}

// recoverWebhook delivers a webhook. That of a shelved run is sent once the run is finished.
func (s *Supervisor) recoverWebhook(data []byte) error {
	n, _, err := readEntry(data)
	if err != nil || n.Final == nil {
		return err
	}
	body, err := s.outbox.End(n.Run, data, n.Final, n.OutputAt)
	if err != nil {
		return err
	}
	run := n.Run // the entry itself may be large
	s.config.Webhooks.Redeliver(target(n.Complete()), body, func() { s.markDelivered(run) })
	return nil
}

// readQueued registers a prediction that no runner had, unless readRequest has found its request.
func (s *Supervisor) readQueued(data []byte) error {
	n, _, err := readEntry(data)
	if err != nil {
		return err
	}
	if s.knows(n) {
		return s.queued.Remove(n.ID)
	}
	s.adopt(leftover{flight: s.flightOf(n, spool.Request{})})
	return nil
}

func (s *Supervisor) readRequest(dir *spool.Dir, fileID string) error {
	request, ok, err := dir.Request(fileID)
	if err != nil || !ok {
		return err
	}
	n, err := entryIn(request)
	if err != nil {
		return err
	}
	if s.knows(n) { // its end was journaled before the crash
		return dir.Remove(n.ID, false)
	}
	s.adopt(leftover{flight: s.flightOf(n, request), dir: dir})
	return nil
}

// knows reports whether this run is registered, or has finished and its webhook is not delivered.
func (s *Supervisor) knows(n prediction.Entry) bool {
	f, ok := s.pool.Get(n.ID)
	return ok && f.run == n.Run || s.outbox.Has(n.Run)
}

// flightOf makes a prediction that has not finished; request is empty if no runner had it.
func (s *Supervisor) flightOf(n prediction.Entry, request spool.Request) *flight {
	f := s.newFlight(n.Complete(), nil, schema.Checked{Input: request.Input})
	f.run, f.keepResult = n.Run, true
	f.checked.Unknown = n.Unknown
	f.tellUnknown()
	if started, err := time.Parse(time.RFC3339Nano, request.StartedAt); err == nil {
		f.prediction.Start(started)
	}
	return f
}

// adopt registers l before anything runs.
func (s *Supervisor) adopt(l leftover) {
	s.supersede(l.flight, false)
	s.leftovers = append(s.leftovers, l)
}

// resolve finishes a prediction that an earlier server had in flight, or returns the one that runs
// in its place.
func (s *Supervisor) resolve(l leftover) (again *flight, err error) {
	var result prediction.Result
	if l.shelved {
		result = prediction.Result{
			Status:      prediction.Failed,
			Error:       "the server restarted before the end of the prediction could be recorded",
			CompletedAt: s.config.Now(),
		}
	} else {
		if l.dir == nil {
			return s.rerun(l)
		}
		var finished bool
		result, finished = s.leftoverResult(l)
		switch {
		case finished:
		case l.prediction.Request.Lease != nil: // the queue runs it again
			s.forget(l.flight)
			return nil, nil
		case s.config.Rerun:
			return s.rerun(l)
		}
	}
	f := l.flight
	// An entry in the queue with the id of a shelved run belongs to a later run.
	f.dir, f.journaled = l.dir, !l.shelved
	if r := f.prediction.Request; r.Webhook != "" {
		f.hook = s.config.Webhooks.Open(f.target(), f.partial)
	}
	s.finish(f, nil, result)
	s.config.Log.Info("recovered", "id", f.ID(), "status", result.Status)
	return nil, nil
}

// forget removes a prediction that has not finished, as if it had never been here.
func (s *Supervisor) forget(f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pool.Forget(f)
	f.cancelBy(nil)
}

// Stored forgets a finished prediction that is stored elsewhere.
func (s *Supervisor) Stored(p *prediction.Prediction) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f, ok := s.pool.Get(p.Request.ID); ok && f.prediction == p && p.Status().Terminal() {
		s.pool.Forget(f)
		s.forgetLocked([]*flight{f})
	}
}

// leftoverResult returns the result that the runner of an earlier server wrote, or one that says
// that it is missing.
func (s *Supervisor) leftoverResult(l leftover) (prediction.Result, bool) {
	o := follower{
		s: s, f: l.flight, dir: l.dir,
		process: deadProcess{}, events: l.dir.Events(l.ID()),
	}
	defer o.events.Close()
	l.log("stdout", l.dir.Recorded(l.ID()))
	result, ended, err := o.read(l.ctx, true)
	switch {
	case ended:
		return result, true
	case err != nil:
		return o.failed(unreadableError(err).Error()), false
	}
	return o.failed("the server restarted before the prediction ended"), false
}

// rerun returns a prediction that runs from its beginning. Its inputs are checked and downloaded
// once the model is ready. It needs no disk space, because there may be none before the model has
// run.
func (s *Supervisor) rerun(l leftover) (*flight, error) {
	f := s.newFlight(l.prediction.Request, nil, schema.Checked{})
	f.run, f.keepResult, f.recheck, f.journaled = l.run, true, true, true
	f.markDurable()
	if l.dir == nil {
		return f, nil
	}
	return f, s.queued.Take(l.dir, f.ID(), f.ID())
}

// enqueue lets a prediction wait for a slot, however many wait already.
func (s *Supervisor) enqueue(f *flight) {
	s.mu.Lock()
	s.pool.Requeue(f)
	s.idle.Add(1)
	s.mu.Unlock()
	go s.run(f)
}

// deadProcess stands for the process of an earlier server, which the kernel killed with its parent.
type deadProcess struct{ process }

func (deadProcess) Drain()      {}
func (deadProcess) Ring() error { return nil }
