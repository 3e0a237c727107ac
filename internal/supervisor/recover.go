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

// noteQueued makes an accepted prediction that no runner has yet known to a later server.
func (s *Supervisor) noteQueued(f *flight) error {
	defer f.markDurable()
	if !s.config.Durable || f.journaled || !f.prediction.Request.Detached {
		return nil
	}
	f.journaled = true
	if err := s.queued.Put(f.ID(), noteOf(f.prediction.Request, f.run).encode()); err != nil {
		return unwritableError(err)
	}
	return nil
}

// noteFinal writes down what is still owed of a finished prediction: the result, for those who did
// not wait for it, and the terminal webhook.
func (s *Supervisor) noteFinal(f *flight) error {
	if !s.config.Durable {
		return nil
	}
	owed, lasting := f.owes() && f.owed == nil, f.keepResult && s.pool.Retains()
	var err error
	if owed || lasting {
		var head []byte
		end := endOf(f.prediction.Final())
		head, err = s.endNote(f, end)
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
	if f.journaled { // else it would run once more
		err = errors.Join(err, s.queued.Remove(f.ID()))
	}
	return err
}

// keepRoom sees to it that the end of f can be noted on a full disk, if it must be.
func (s *Supervisor) keepRoom(f *flight) {
	if s.config.Durable && (f.hook != nil || f.keepResult) {
		_ = s.root.KeepRoom() // a disk that is full already may have room at the next one
	}
}

// endNote is the note of an end, but for the end itself. Of the input that holds what clients are
// shown: nothing will run again, so no secret need stay. A client that asks for the same run once
// more is known by the seal.
func (s *Supervisor) endNote(f *flight, end spool.End) (head []byte, err error) {
	n := noteOf(f.prediction.Request, f.run)
	if n.Echo != nil && n.Input != nil {
		n.Sealed = f.prediction.Request.Seal(s.key)
		err = s.root.PutKey(s.key)
	}
	n.Input, n.Echo, n.OutputAt = nil, nil, end.OutputAt
	return n.encode(), err
}

// endOf is what a note says of an end.
func endOf(final prediction.Snapshot) spool.End {
	if !final.OnDisk() {
		return spool.End{Final: final}
	}
	output := final.JustOutput()
	final.Output, final.Items = prediction.Value{}, nil
	return spool.End{Final: final, Output: output, OutputAt: final.OutputAt()}
}

// shelve keeps the request of a run whose end could not be noted and whose webhook is owed: a later
// server ends it once more. It stands where the note of the end belongs, which replaces it once
// there is room.
func (s *Supervisor) shelve(f *flight) {
	if f.dir == nil || f.owed != nil || !f.owes() {
		return
	}
	if err := s.outbox.Take(f.dir, f.ID(), f.run); err != nil && !errors.Is(err, fs.ErrNotExist) { // it may never have been written
		s.config.Log.Error("keep a request whose end can't be noted", "id", f.ID(), "error", err)
	}
}

// openKey reads the key of seals, or makes one; it stands on disk once there is a seal.
func (s *Supervisor) openKey() error {
	key, ok, err := s.root.Key()
	if err == nil && !ok {
		key = make([]byte, sha256.Size)
		_, _ = rand.Read(key) // never fails, see crypto/rand
	}
	s.key = key
	return err
}

// paid forgets the terminal webhook of a run that was delivered or refused for good.
func (s *Supervisor) paid(run string) {
	if !s.config.Durable {
		return
	}
	if err := s.outbox.Remove(run); err != nil {
		s.config.Log.Error("forget a delivered webhook", "run", run, "error", err)
	}
}

// forgetNotes removes the notes of results that are not retained any more.
func (s *Supervisor) forgetNotes(runs ...string) {
	for _, run := range runs {
		if err := s.results.Remove(run); err != nil {
			s.config.Log.Error("forget a result", "run", run, "error", err)
		}
	}
}

// left is a prediction that an earlier server had not ended.
type left struct {
	*flight
	dir     *spool.Dir // where its request is; nil when no runner has it
	shelved bool       // it had ended, but nobody knows how any more
}

// readLeft registers what an earlier server left: finished predictions as they are, the others
// until settleLeft ends them. One bad file must not keep the server from serving: it is told and
// passed over.
func (s *Supervisor) readLeft() error {
	if !s.config.Durable {
		return nil
	}
	dirs, err := s.leftDirs()
	bad := errors.Join(s.recoverResults(), s.outbox.Each(s.recoverOwed))
	for _, dir := range dirs {
		list, unread := dir.List()
		bad = errors.Join(bad, unread)
		for _, id := range list.Requests {
			unread = s.readRequest(dir, id)
			if passing(unread) { // settleLeft would remove what can be read another time
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

// leftDirs are the directories where earlier servers had runners; they may have had more of them
// than this one.
func (s *Supervisor) leftDirs() ([]*spool.Dir, error) {
	paths, _ := filepath.Glob(filepath.Join(s.config.WorkingDir, runnerPrefix+"*")) // the pattern is valid
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

// settleLeft ends what readLeft has registered: finished responses by delivering them, everything
// else as failed, or by running it again with Rerun. What no runner had yet runs now. No file of a
// prediction is left then.
func (s *Supervisor) settleLeft() error {
	if !s.config.Durable {
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
	if owed != nil {
		s.config.Log.Error("recover", "error", owed)
	}
	if err := errors.Join(failed...); err != nil {
		return err // with their requests where they are
	}
	dirs, err := s.leftDirs()
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
	return slices.ContainsFunc(s.workers, func(w *worker) bool { return w.dir.Path() == dir.Path() })
}

// recoverResults retains again, in the order of their ends, what was retained before.
func (s *Supervisor) recoverResults() error {
	var found []*flight
	err := s.results.Expire(s.config.Now().Add(-s.config.RetainFor)) // before they are read: there may be many
	err = errors.Join(err, s.results.Each(func(data []byte) error {
		n, _, err := readNote(data)
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
		s.forgetNotes(old.run)
	}
}

// recoverOwed retains the result of a run whose webhook is owed, where the crash came before that
// was noted too.
func (s *Supervisor) recoverOwed(data []byte) error {
	n, request, err := readNote(data)
	if err != nil {
		return err
	}
	if n.Final == nil {
		s.takeUp(left{flight: s.flightOf(n, request), shelved: true})
		return nil
	}
	f, err := s.restore(s.outbox, n)
	if err != nil || !s.pool.Retains() {
		return err
	}
	if known, ok := s.pool.Get(f.ID()); ok && (known.run == f.run || known.accepted.After(f.accepted)) {
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

// restore is a prediction that has ended, by its note in a journal.
func (s *Supervisor) restore(from *spool.Journal, n note) (*flight, error) {
	final, err := readSnapshot(n.Final)
	if err != nil {
		return nil, err
	}
	output := prediction.Value{Raw: final.Output}
	if n.OutputAt > 0 {
		text, err := from.Output(n.Run)
		if err != nil {
			return nil, err
		}
		output = prediction.Value{Raw: json.RawMessage{}, Inserts: []prediction.Insert{{Text: text}}}
	}
	n.Input = final.Input
	f := s.newFlight(n.request(), nil, schema.Checked{})
	f.run = n.Run
	f.prediction = prediction.Restore(n.request(), final.StartedAt, final.Logs, prediction.Result{
		Status: final.Status, Output: output, Error: final.Error, Metrics: final.Metrics, CompletedAt: final.CompletedAt,
	})
	f.accepted, f.keepResult = final.CompletedAt, true
	return f, nil
}

// recoverWebhook delivers what is owed; a shelved run is told of once it was ended.
func (s *Supervisor) recoverWebhook(data []byte) error {
	n, _, err := readNote(data)
	if err != nil || n.Final == nil {
		return err
	}
	body, err := s.outbox.End(n.Run, data, n.Final, n.OutputAt)
	if err != nil {
		return err
	}
	run := n.Run // the note itself may be large
	s.config.Webhooks.Redeliver(target(n.request()), body, func() { s.paid(run) })
	return nil
}

// readQueued registers a prediction that no runner had, unless readRequest knows better.
func (s *Supervisor) readQueued(data []byte) error {
	n, _, err := readNote(data)
	if err != nil {
		return err
	}
	if s.knows(n) {
		return s.queued.Remove(n.ID)
	}
	s.takeUp(left{flight: s.flightOf(n, spool.Request{})})
	return nil
}

func (s *Supervisor) readRequest(dir *spool.Dir, fileID string) error {
	request, ok, err := dir.Request(fileID)
	if err != nil || !ok {
		return err
	}
	n, err := noteIn(request)
	if err != nil {
		return err
	}
	if s.knows(n) { // its end was noted before the crash
		return dir.Remove(n.ID, false)
	}
	s.takeUp(left{flight: s.flightOf(n, request), dir: dir})
	return nil
}

// knows reports whether this run was registered, or has ended and is still owed to its receiver.
func (s *Supervisor) knows(n note) bool {
	f, ok := s.pool.Get(n.ID)
	return ok && f.run == n.Run || s.outbox.Has(n.Run)
}

// flightOf is a prediction that has not ended; request is empty when no runner had it.
func (s *Supervisor) flightOf(n note, request spool.Request) *flight {
	f := s.newFlight(n.request(), nil, schema.Checked{Input: request.Input})
	f.run, f.keepResult = n.Run, true
	f.checked.Unknown = n.Unknown
	f.tellUnknown()
	if started, err := time.Parse(time.RFC3339Nano, request.StartedAt); err == nil {
		f.prediction.Start(started)
	}
	return f
}

// takeUp registers l; nothing else runs yet.
func (s *Supervisor) takeUp(l left) {
	s.supersede(l.flight, false)
	s.left = append(s.left, l)
}

// resume ends a prediction that an earlier server had in flight, or returns what runs in its place.
func (s *Supervisor) resume(l left) (again *flight, err error) {
	var result prediction.Result
	if l.shelved {
		result = prediction.Result{Status: prediction.Failed, Error: "the server restarted before the end of the prediction could be noted", CompletedAt: s.config.Now()}
	} else {
		if l.dir == nil {
			return s.again(l)
		}
		var finished bool
		if result, finished = s.leftBy(l); !finished && s.config.Rerun {
			return s.again(l)
		}
	}
	f := l.flight
	f.dir, f.journaled = l.dir, !l.shelved // what is queued under the id of a shelved run is a later one
	if r := f.prediction.Request; r.Webhook != "" {
		f.hook = s.config.Webhooks.Open(f.target(), f.partial)
	}
	s.settle(f, nil, result)
	s.config.Log.Info("recovered", "id", f.ID(), "status", result.Status)
	return nil, nil
}

// leftBy is the result that the runner of an earlier server left, or the one that says there is
// none.
func (s *Supervisor) leftBy(l left) (prediction.Result, bool) {
	o := follower{s: s, f: l.flight, dir: l.dir, process: buried{}, events: l.dir.Events(l.ID())}
	defer o.events.Close()
	l.log("stdout", l.dir.Recorded(l.ID()))
	result, ended, err := o.read(l.ctx, false)
	switch {
	case ended:
		return result, true
	case err != nil:
		return o.failed(unreadableError(err).Error()), false
	}
	return o.failed("the server restarted before the prediction ended"), false
}

// again makes a prediction one that is to run from its beginning; its inputs are checked and
// downloaded once the model is ready. It needs no room: there may be none before the model has run.
func (s *Supervisor) again(l left) (*flight, error) {
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

// buried stands for the process of an earlier server: the kernel ended it with its parent.
type buried struct{ process }

func (buried) Drain()      {}
func (buried) Ring() error { return nil }
