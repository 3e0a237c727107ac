package queue

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/coggo/coggo/internal/admission"
	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/supervisor"
)

// watchAfter is how long a prediction runs before anybody looks whether its client leaves, as in
// the supervisor.
const watchAfter = 10 * time.Millisecond

// Create puts a prediction into the queue; created is false if an idempotent request met the same
// id, under way or finished with the same input. It is stored in the broker when Create returns.
// The error is a *prediction.Error.
func (q *Queue) Create(
	r prediction.Request, idempotent bool,
) (p *prediction.Prediction, created bool, err error) {
	m, created, err := q.submit(r, idempotent, r.Followed)
	if err != nil {
		return nil, false, err
	}
	if r.Followed || !created {
		m.seen()
	}
	return m.prediction, created, nil
}

// Perform is Create for a caller that waits for the end: a created prediction has finished when it
// returns, by itself or because its client left. watch is called at most once; its context is done
// when the client leaves.
func (q *Queue) Perform(
	watch func() context.Context, r prediction.Request, idempotent bool,
) (p *prediction.Prediction, created bool, err error) {
	r.Followed = true
	m, created, err := q.submit(r, idempotent, false)
	if err != nil {
		return nil, false, err
	}
	p = m.prediction
	if !created {
		m.seen()
		return p, false, nil
	}
	leave := p.Attach()
	soon := time.NewTimer(watchAfter)
	defer soon.Stop()
	select {
	case <-p.Done():
		return p, true, nil
	case <-soon.C:
	}
	stop := context.AfterFunc(watch(), func() {
		if leave() {
			_ = q.Cancel(p, supervisor.ByDisconnect) // an error says that it has ended
		}
	})
	defer stop()
	<-p.Done()
	return p, true, nil
}

// submit checks a request and publishes it. The mirror that it returns follows the prediction if
// the request says that somebody does.
func (q *Queue) submit(r prediction.Request, idempotent, follow bool) (_ *mirror, created bool, err error) {
	if q.draining.Load() {
		return nil, false, errDraining()
	}
	if err := q.usable(); err != nil {
		return nil, false, err
	}
	if q.broker.narrow {
		return nil, false, errOnlyGateways("send predictions to a gateway")
	}
	target, err := q.choose(r.Model, "")
	if err != nil {
		return nil, false, err
	}
	r.Model = target.Name
	input, err := admission.Input(target.Document, r.Method)
	if err != nil {
		return nil, false, err
	}
	chosen := r.ID != ""
	checked, err := q.checks.Admit(input, &r, q.config.CheckWait, q.config.Now())
	if err != nil {
		return nil, false, err
	}
	if r.CancelAfter > 0 {
		r.Deadline = q.config.Now().Add(r.CancelAfter)
	}
	limit := 2 * patience
	if !q.broker.fits(len(r.Input)) {
		limit = largePatience
	}
	ctx, cancel := context.WithTimeout(q.ctx, limit)
	defer cancel()
	entry := prediction.NewEntry(r, prediction.NewID())
	entry.Unknown = checked.Unknown
	s := submission{
		q: q, ctx: ctx, entry: entry, digest: entry.Digest(), place: placeOf(target.Name, r.ID),
		idempotent: idempotent, follow: follow,
	}
	return s.publish(chosen)
}

// room refuses a prediction if too many wait already. It lets one in whose queue has no consumer:
// the stream keeps it until the janitor has made one.
func (q *Queue) room(ctx context.Context, name string) error {
	waiting, ok, err := q.depths.admit(ctx, name, q.config.MaxQueue)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil
	}
	if err != nil {
		return q.unreachable(err)
	}
	if !ok {
		return errFull(name, waiting)
	}
	return nil
}

// submission is a request on its way into the queue.
type submission struct {
	q          *Queue
	ctx        context.Context
	entry      prediction.Entry
	digest     [sha256.Size]byte // of its input
	place      place
	idempotent bool
	waited     time.Duration // for the request of a run that has ended, see afterEnd
	follow     bool          // somebody reads the events
	newRun     bool          // the broker remembers the same request, but nothing of it is left
}

// publish puts the request into the queue, unless its id is there already. chosen says that the
// client has chosen the id; nobody else can have one of ours.
func (s submission) publish(chosen bool) (*mirror, bool, error) {
	var before state
	if chosen {
		m, created, old, err := s.known()
		if m != nil || err != nil {
			return m, created, err
		}
		before = old
	}
	if full := s.q.room(s.ctx, s.entry.Model); full != nil {
		return s.joinOr(full, chosen)
	}
	a := asked{
		place: s.place, run: s.entry.Run, after: before.seq, follow: s.follow,
		input: inputMark(s.entry.Run, s.digest),
	}
	var err error
	if a.payload, err = s.q.broker.storeRequest(s.ctx, s.place, s.entry); err != nil {
		return nil, false, s.q.unreachable(err)
	}
	m := s.q.newMirror(s.place, s.entry.Run, s.entry.Complete())
	twin := a.place.asked() // what would be in the queue under the same id
	if chosen {
		twin = askedIn("*", s.place.key)
	}
	duplicate, err := s.send(a, before, twin)
	if err == nil && !duplicate {
		s.q.startDeadline(s.entry)
		return m.share(), true, nil
	}
	m.drop()
	if err == nil || answered(err) { // else it may be in the queue
		s.q.broker.discard(s.ctx, s.place, a.payload)
	}
	if err != nil && !wrongSequence(err) {
		return nil, false, s.q.unreachable(err)
	}
	return s.met()
}

// known answers a request whose id is in the queue already, or has an end that the client may have.
// Otherwise it returns the state of the run before, if there was one.
func (s submission) known() (m *mirror, created bool, before state, err error) {
	// The requests come first: one leaves the queue only after its end is stored, so its end is seen
	// below.
	_, found, err := s.q.broker.asked(s.ctx, s.place.key)
	if err == nil && !found {
		before, err = s.q.broker.state(s.ctx, s.place.key)
	}
	switch {
	case err != nil:
		return nil, false, before, s.q.unreachable(err)
	case found, before.underway():
		m, created, err = s.met()
	case before.kind == ended && s.repeats(before):
		m, err = s.q.restore(s.ctx, before, s.follow)
	}
	return m, created, before, err
}

// joinOr answers a request that finds the queue full. It can still join a prediction that waits.
func (s submission) joinOr(full error, chosen bool) (*mirror, bool, error) {
	if chosen {
		if _, found, err := s.q.broker.asked(s.ctx, s.place.key); err == nil && found {
			return s.met()
		}
	}
	return nil, false, full
}

// send publishes the request until the broker answers, which refuses it if twin matches one that is
// there. It reports whether the broker had the same request already.
func (s submission) send(a asked, before state, twin string) (duplicate bool, err error) {
	m := a.message()
	options := []jetstream.PublishOpt{
		jetstream.WithMsgID(s.messageID(before)),
		jetstream.WithExpectLastSequenceForSubject(0, twin),
	}
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	for sent := 0; ; sent++ {
		ack, err := s.q.broker.publish(ctx, m, options...)
		err = lacks("stream "+askedStream, err)
		switch {
		case err == nil:
			// A repetition of our own, whose answer was lost, is not a duplicate.
			return ack.Duplicate && s.idempotent && !s.ours(), nil
		case wrongSequence(err) && sent > 0 && s.ours():
			return false, nil
		case answered(err) || ctx.Err() != nil:
			return false, err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// ours reports whether the request that waits under this id is the one of this submission.
func (s submission) ours() bool {
	a, found, err := s.q.broker.asked(s.ctx, s.place.key)
	return err == nil && found && a.run == s.entry.Run
}

// messageID is the same for two requests that ask for the same run and have seen the same state: of
// two PUTs that race only one is stored.
func (s submission) messageID(before state) string {
	if !s.idempotent || s.newRun {
		return s.entry.Run
	}
	sum := sha256.New()
	seen := strconv.FormatUint(before.seq, 10)
	sum.Write([]byte(s.place.model + "." + s.place.key + "." + seen + "." + string(s.entry.Method) + "."))
	sum.Write(s.digest[:])
	return hex.EncodeToString(sum.Sum(nil))
}

// looks is how often met looks at a prediction that begins to run or ends at the same time.
const looks = 10

// met answers a request whose id is in the queue already.
func (s submission) met() (*mirror, bool, error) {
	for range looks {
		known, err := s.q.broker.state(s.ctx, s.place.key)
		if err != nil {
			return nil, false, s.q.unreachable(err)
		}
		waiting, found, err := s.q.broker.asked(s.ctx, s.place.key)
		if err != nil {
			return nil, false, s.q.unreachable(err)
		}
		var m *mirror
		switch {
		case known.kind == ended && (!found || waiting.run == known.run):
			if !s.repeats(known) {
				return s.afterEnd(known)
			}
			m, err = s.q.restore(s.ctx, known, s.follow)
		case known.underway():
			m, err = s.meet(known)
		case found:
			m, err = s.join(waiting, known)
		default:
			continue
		}
		switch {
		case wrongSequence(err): // it has changed meanwhile
		case err != nil && !refused(err):
			return nil, false, s.q.unreachable(err)
		default:
			return m, false, err
		}
	}
	if s.idempotent && !s.newRun { // its end has expired sooner than the broker forgets the request
		s.newRun = true
		return s.publish(true)
	}
	return nil, false, errInUse()
}

// An end is visible a moment before its worker has taken the request off the queue: it owes the
// webhook in between. A new run of the id waits for that, for endWait at most.
const (
	endWait  = 3 * time.Second
	endAgain = 20 * time.Millisecond
)

// afterEnd publishes the request once that of the run before is off the queue.
func (s submission) afterEnd(known state) (*mirror, bool, error) {
	if s.waited >= endWait {
		return nil, false, errJustEnded(known.method)
	}
	s.waited += endAgain
	select {
	case <-time.After(endAgain):
	case <-s.ctx.Done():
		return nil, false, s.q.unreachable(nil)
	}
	return s.publish(true)
}

// meet answers a request whose id a worker runs. An error with a wrong sequence says that the state
// has changed since it was read.
func (s submission) meet(known state) (*mirror, error) {
	if !s.idempotent || known.model != s.place.model || known.method != s.entry.Method {
		return nil, errRunning(known.method)
	}
	known, err := s.keep(known)
	if err != nil {
		return nil, err
	}
	return s.q.restore(s.ctx, known, s.follow)
}

// keep notes in the state of a run that it was asked for again: a client that leaves does not
// cancel it any more. It returns errBeingCanceled if one that has left was first. Both are a
// compare-and-set on the state, so one of them comes first.
func (s submission) keep(known state) (state, error) {
	switch {
	case known.cancel == string(supervisor.ByDisconnect):
		return known, errBeingCanceled(s.entry.Method)
	case known.kept:
		return known, nil
	}
	next := known
	next.kept = true
	var err error
	next.seq, err = s.q.broker.put(s.ctx, next, known.seq, 0)
	return next, err
}

// join answers a request whose id waits; before is the state of the run before, if there was one.
// An error with a wrong sequence says that a worker has claimed it meanwhile, or that it was
// canceled.
func (s submission) join(waiting asked, before state) (*mirror, error) {
	entry, err := s.q.entry(s.ctx, waiting)
	if err != nil {
		return nil, err
	}
	if !s.idempotent || waiting.model != s.place.model || entry.Method != s.entry.Method {
		return nil, errRunning(entry.Method)
	}
	if err := s.q.keepWaiting(s.ctx, waiting, entry, before.seq); err != nil {
		return nil, err
	}
	m := s.q.mirror(waiting.place, waiting.run, followed(s.q.request(waiting, entry)))
	m.refresh(s.ctx) // it may have ended before the subscription began
	return m, nil
}

// keepWaiting is keep for a run that no worker has claimed. Its first state says that it waits, as
// one that a worker has given back does.
func (q *Queue) keepWaiting(ctx context.Context, a asked, entry prediction.Entry, after uint64) error {
	shown := prediction.New(entry.Complete(), prediction.Limits{}).Snapshot()
	if !q.broker.fits(shown.Len()) {
		shown = shown.Short()
	}
	_, err := q.broker.put(ctx, state{
		place: a.place, kind: returned, run: a.run, input: a.input, method: entry.Method, kept: true,
		payload: payload{body: shown.AppendJSON(nil)},
	}, after, 0)
	return err
}

// repeats reports whether the request asks for the run that has ended, and whose end may be shown
// to it.
func (s submission) repeats(old state) bool {
	return s.idempotent && old.model == s.place.model && old.method == s.entry.Method &&
		!(old.cancel == string(supervisor.ByDisconnect) && old.canceled()) &&
		hmac.Equal([]byte(old.input), []byte(inputMark(old.run, s.digest)))
}

// inputMark is the same for inputs that ask for the same run. It is salted with the run, because a
// secret in the input may be short enough to be guessed.
func inputMark(run string, digest [sha256.Size]byte) string {
	mac := hmac.New(sha256.New, []byte(run))
	mac.Write(digest[:])
	return hex.EncodeToString(mac.Sum(nil))
}

// answered reports whether the broker has answered, so that the same request again would not help.
func answered(err error) bool { return errors.As(err, new(*jetstream.APIError)) }

// entry reads the request in a message.
func (q *Queue) entry(ctx context.Context, a asked) (prediction.Entry, error) {
	data, err := q.broker.load(ctx, a.place, a.payload)
	if err != nil {
		return prediction.Entry{}, err
	}
	return readEntry(data)
}

// request returns the request of a message.
func (q *Queue) request(a asked, entry prediction.Entry) prediction.Request {
	r := entry.Complete()
	r.Model = q.directory.nameOf(a.model)
	return r
}

func readEntry(data []byte) (entry prediction.Entry, err error) {
	if err = prediction.Decode(data, &entry, entry.Raw()); err != nil {
		return entry, unreadable{err}
	}
	return entry, nil
}

// startDeadline ends a prediction at its deadline if no worker has it by then. A worker that has it
// counts by itself.
func (q *Queue) startDeadline(entry prediction.Entry) {
	if entry.Deadline.IsZero() {
		return
	}
	id, run := entry.ID, entry.Run // not the input: a deadline may be far away
	time.AfterFunc(entry.Deadline.Sub(q.config.Now()), func() { q.expire(id, run) })
}

func followed(r prediction.Request) prediction.Request {
	r.Followed = true
	return r
}
