package queue

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/supervisor"
)

// job is one message of a worker: a prediction from its delivery to its end in the broker.
type job struct {
	asked
	msg       *nats.Msg
	delivered uint64    // how often the message came, this time included
	again     bool      // this worker has stored the end of the run lately
	queued    time.Time // when the broker stored it
	begun     time.Time // when this worker had read it
	entry     prediction.Entry
	claim     state         // what this worker has stored last; its sequence is the fencing token
	flushed   chan struct{} // closed when all webhooks before the terminal one have gone out
	flush     func()        // closes it

	claiming chan claimAnswer // receives the result of a claim that the run does not wait for; nil before

	mu        sync.Mutex // guards the rest
	unclaimed bool       // its claim is held back
	run       *prediction.Prediction
	canceled  supervisor.Reason     // before there was a run
	noted     state                 // the claim that a cancel is noted in, as far as it was told
	followed  bool                  // somebody follows the run
	sending   bool                  // its events are being sent
	objects   map[string]lentObject // what is stored for those who follow it, by name
	pasts     []lentPast            // and for those who came late, the latest last
	left      bool                  // nothing more is lent
}

// hearCancel ends the run because of a message.
func (j *job) hearCancel(s Supervisor, m *nats.Msg) {
	j.mu.Lock()
	j.noted = notedIn(m.Header)
	j.mu.Unlock()
	j.cancel(s, supervisor.Reason(m.Header.Get(headerCancel)))
}

// takeNoted takes the sequence that the claim has since a cancel was noted in it. Otherwise the
// broker would refuse the end, and the worker would have to look for that sequence.
func (j *job) takeNoted() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if s := j.noted; s.seq > j.claim.seq && s.owner == j.claim.owner && s.turn == j.claim.turn {
		j.claim.seq, j.claim.cancel = s.seq, s.cancel
	}
}

// cancel ends the run, now or as soon as there is one.
func (j *job) cancel(s Supervisor, reason supervisor.Reason) {
	j.mu.Lock()
	run := j.run
	j.canceled = reason
	j.mu.Unlock()
	if run != nil {
		_ = s.Cancel(run, reason) // an error says that it has ended
	}
}

// handle takes one message from its delivery to its end. It returns when the slot is free; what
// follows then goes on in the background.
func (w *Worker) handle(msg *nats.Msg) {
	j, err := w.read(msg)
	if err != nil {
		w.q.config.Log.Error("a message of the queue can't be read", "subject", msg.Subject, "error", err)
		w.free()
		if errors.Is(err, errLost) {
			w.acknowledge(msg, "+TERM")
		}
		return
	}
	w.mu.Lock()
	if _, twice := w.jobs[j.asked.run]; twice {
		w.mu.Unlock()
		w.free()
		return // it came again although this worker has it
	}
	j.again = w.ended.has(j.asked.run)
	w.jobs[j.asked.run] = j
	w.work.Add(1)
	w.mu.Unlock()
	w.perform(j)
}

// leave ends the worker's part in a job.
func (w *Worker) leave(j *job) {
	if j.run != nil && j.run.Status().Terminal() && w.q.ctx.Err() == nil {
		w.Supervisor.Stored(j.run) // or of no use: another worker has it
	}
	w.forgetObjects(j)
	w.mu.Lock()
	delete(w.jobs, j.asked.run)
	if j.claim.kind == ended {
		w.ended.add(j.asked.run)
	}
	w.mu.Unlock()
	w.work.Done()
}

// recentRuns are the runs that ended last. If the broker gives a message out again, it may be on
// its way while the run ends, and it may come as a first delivery.
type recentRuns struct {
	latest [256]string // the oldest one at next
	next   int
	known  map[string]bool
}

func (r *recentRuns) add(run string) {
	if r.known == nil {
		r.known = map[string]bool{}
	}
	delete(r.known, r.latest[r.next])
	r.latest[r.next], r.known[run] = run, true
	r.next = (r.next + 1) % len(r.latest)
}

func (r *recentRuns) has(run string) bool { return r.known[run] }

// read reads a message.
func (w *Worker) read(msg *nats.Msg) (*job, error) {
	about, err := msg.Metadata()
	if err != nil {
		return nil, errors.Join(errLost, err)
	}
	a, err := askedOf(msg.Subject, about.Sequence.Stream, msg.Header, msg.Data)
	if errors.Is(err, errFormat) {
		return nil, err // a later version may read it
	}
	if err != nil {
		return nil, errors.Join(errLost, err)
	}
	ctx, cancel := context.WithTimeout(w.q.ctx, time.Minute)
	defer cancel()
	data, err := w.q.broker.load(ctx, a.place, a.payload)
	if errors.Is(err, errObjectGone) {
		return nil, errors.Join(errLost, err)
	}
	if err != nil {
		return nil, err
	}
	entry, err := readEntry(data)
	if err != nil {
		return nil, errors.Join(errLost, err)
	}
	j := &job{
		asked: a, msg: msg, delivered: about.NumDelivered, queued: about.Timestamp,
		begun: w.q.config.Now(), entry: entry, flushed: make(chan struct{}), followed: a.follow,
	}
	j.flush = sync.OnceFunc(func() { close(j.flushed) })
	return j, nil
}

// perform runs a job until its slot is free. The rest goes on in the background.
func (w *Worker) perform(j *job) {
	if v := w.begin(j); v != runIt {
		w.free()
		go w.settle(j, v)
		return
	}
	p, err := w.start(j)
	if err == nil {
		<-p.Done()
	}
	w.short.Store(err == nil && w.q.config.Now().Sub(j.begun) < heldBack)
	first := w.endFirst(j, p, err) // before the next prediction is asked for: a client waits for it
	w.free()                       // the next one need not wait until the broker has answered
	go w.conclude(j, first, p, err)
}

// start hands a job to the supervisor.
func (w *Worker) start(j *job) (*prediction.Prediction, error) {
	r := j.entry.Complete()
	if !r.Deadline.IsZero() && !w.q.config.Now().Before(r.Deadline) {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.canceled = supervisor.ByDeadline
		return nil, supervisor.ByDeadline
	}
	r.Lease = &prediction.Lease{
		Run: j.asked.run, Owner: w.q.process, Attempt: j.claim.attempt, Turn: j.claim.turn, Queued: j.queued,
	}
	r.Detached = false // the broker has it: nothing has to be on this disk before it runs
	p, _, err := w.Supervisor.Create(r, false)
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	j.run = p
	canceled := j.canceled
	w.sendLocked(j)
	j.mu.Unlock()
	if canceled != "" {
		_ = w.Supervisor.Cancel(p, canceled) // an error says that it has ended
	}
	return p, nil
}
