// Package pool decides which prediction gets which slot, and which ones wait.
//
// A Pool is plain state: it has no lock and does no I/O, and the time is an argument. Its owner
// guards it with a mutex, and carries out the results of its methods: a Grant for each prediction
// that may go on, and the predictions that it forgets.
//
// The life of a prediction in a pool:
//
//	Admit ─┬─ slot ──────────────────────────────┬─ Finish ─ retained ─ Expire
//	       ├─ may fetch ─ FetchDone ─ slot ──────┤
//	       └─ queue ─ either of them ────────────┘
package pool

import (
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/coggo/coggo/internal/prediction"
)

// Member is a prediction, as far as a pool has to know it.
type Member interface {
	comparable
	ID() string // one live member has it at a time
	Method() prediction.Method
	Size() int     // bytes in memory
	Fetches() bool // it has files to fetch, and needs no slot for that
	// Its client does not retry, so it may wait beyond Limits.Queue.
	Patient() bool
	Recovered() bool     // an earlier server accepted it
	Accepted() time.Time // the order of lists
}

// Limits bound what a Pool admits and retains.
type Limits struct {
	Queue        int // members that may wait for a slot
	PatientQueue int // the same for Patient ones, if it is more
	PatientBytes int // of all members that wait only because of PatientQueue
	// Members that may fetch in addition to those that have a free slot.
	Fetching    int
	Retain      int           // finished members to retain
	RetainFor   time.Duration // how long they are retained
	RetainBytes int           // their memory together
}

// Slot is the right to run in one worker. Admission gives it out, and Finish takes it back once.
type Slot struct {
	Worker int
	taken  bool
}

// Taken reports whether s is a slot. The zero Slot is not.
func (s Slot) Taken() bool { return s.taken }

// Grant says that a member may go on: with a slot, or without one to fetch its files.
type Grant[M Member] struct {
	Member M
	Slot   Slot
}

// Pool is the state of admission. Use New.
type Pool[M Member] struct {
	limits   Limits
	workers  []worker[M]
	members  map[string]entry[M] // by id: live and retained
	queue    line[M]             // waiting for a slot, or until they may fetch, in order
	fetching map[M]struct{}      // admitted, without a slot because of their files
	// Those of fetching that have their files and wait for a slot, in order.
	fetched  line[M]
	retained retention
	draining bool
}

// entry is a member with the pool's data about it.
type entry[M Member] struct {
	member   M
	finished bool
}

// New returns a Pool with this many workers. All of them are starting.
func New[M Member](workers int, limits Limits) *Pool[M] {
	p := &Pool[M]{
		limits:   limits,
		workers:  make([]worker[M], workers),
		members:  map[string]entry[M]{},
		queue:    newLine[M](),
		fetching: map[M]struct{}{},
		fetched:  newLine[M](),
		retained: newRetention(limits),
	}
	for i := range p.workers {
		p.workers[i].running = map[M]struct{}{}
		p.workers[i].abandoned = map[M]struct{}{}
	}
	return p
}

// Drain refuses all members from now on.
func (p *Pool[M]) Drain() { p.draining = true }

// Draining reports whether Drain was called.
func (p *Pool[M]) Draining() bool { return p.draining }

// Admission is the outcome of Admit.
type Admission[M Member] struct {
	Known    M        // the member that answers instead, if Joined
	Joined   bool     // the id is known, and nothing was admitted
	Grant    Grant[M] // valid if Granted
	Granted  bool     // otherwise the member waits in the queue
	Replaced bool     // Previous, a finished member with the same id, made room
	Previous M
}

// Admit gives m a slot, permission to fetch its files, or a place in the queue.
//
// repeats is nil unless the request is idempotent. Then it reports whether m asks for the same run
// as a finished member with its id, whose result is the answer.
//
// The error is a *prediction.Error with code Draining, NotReady, Conflict, Busy or QueueFull. The
// pool is unchanged then.
func (p *Pool[M]) Admit(m M, repeats func(old M) bool, now time.Time) (a Admission[M], err error) {
	if p.draining {
		return a, errDraining()
	}
	old, known := p.members[m.ID()]
	if known {
		same := repeats != nil && old.member.Method() == m.Method()
		if !old.finished && !same {
			return a, prediction.Refuse(prediction.Conflict,
				"a "+old.member.Method().Noun()+" with this id is running")
		}
		if !old.finished || same && repeats(old.member) {
			return Admission[M]{Known: old.member, Joined: true}, nil
		}
	}
	if p.abandonedID(m.ID()) {
		return a, prediction.RefuseFor(RetrySoon, prediction.Conflict,
			"the model is still running the canceled prediction that had this id; try again later")
	}
	a.Grant, a.Granted = p.begin(m)
	if !a.Granted {
		if err := p.enqueue(m, now); err != nil {
			return a, err
		}
	}
	if known {
		p.retained.remove(m.ID())
		a.Previous, a.Replaced = old.member, true
	}
	p.members[m.ID()] = entry[M]{member: m}
	return a, nil
}

// enqueue gives m a place in the queue.
func (p *Pool[M]) enqueue(m M, now time.Time) error {
	if err := p.Refuses(now); err != nil { // it may have changed since the caller checked the input
		return err
	}
	if !p.mayWait(m) {
		return p.fullError(m)
	}
	p.queue.push(m)
	return nil
}

// mayWait reports whether the queue has a place for m.
func (p *Pool[M]) mayWait(m M) bool {
	if p.queue.len() < p.limits.Queue {
		return true
	}
	if !m.Patient() || p.queue.len() >= p.limits.PatientQueue {
		return false
	}
	return p.queue.bytes+m.Size() <= p.limits.PatientBytes
}

// fullError returns the refusal of m if the queue has no place for it, or if there is no queue.
func (p *Pool[M]) fullError(m M) error {
	why := "already running as many predictions as the model takes at once"
	if p.freest() >= 0 {
		why = "already fetching the files of as many predictions as may be at once"
	}
	if p.limits.Queue > 0 || m.Patient() && p.limits.PatientQueue > 0 {
		return prediction.RefuseFor(RetrySoon, prediction.QueueFull,
			why+", and every place in the queue is taken, see --max-queue; try again later")
	}
	return prediction.RefuseFor(RetrySoon, prediction.Busy,
		why+"; try again later, or let predictions wait with --max-queue")
}

// begin gives m a slot, or permission to fetch first while others use the slots. Both need a free
// slot.
func (p *Pool[M]) begin(m M) (g Grant[M], ok bool) {
	i := p.freest()
	if i < 0 || m.Fetches() && !p.mayFetch() {
		return g, false
	}
	if m.Fetches() {
		p.fetching[m] = struct{}{}
		return Grant[M]{Member: m}, true
	}
	return p.take(m, i), true
}

func (p *Pool[M]) take(m M, worker int) Grant[M] {
	p.workers[worker].running[m] = struct{}{}
	return Grant[M]{Member: m, Slot: Slot{Worker: worker, taken: true}}
}

// mayFetch reports whether another member may fetch. The slots and Limits.Fetching bound the
// members that have fetched files on disk, running or not.
func (p *Pool[M]) mayFetch() bool {
	free := 0
	for i := range p.workers {
		free += max(p.workers[i].free(), 0)
	}
	return len(p.fetching) < free+p.limits.Fetching
}

// Dispatch grants free slots to the members that wait for them: first to those that have fetched
// their files, then to the queue, where it skips members that may not fetch yet. So no slot stays
// free while a member waits that could have it. Call it after anything that may free a slot.
// Methods that return grants have called it.
func (p *Pool[M]) Dispatch() (grants []Grant[M]) {
	for m := range p.fetched.all() {
		i := p.freest()
		if i < 0 {
			return grants
		}
		p.fetched.remove(m)
		delete(p.fetching, m)
		grants = append(grants, p.take(m, i))
	}
	for p.freest() >= 0 {
		m, ok := p.queue.first(p.mayFetch())
		if !ok {
			return grants
		}
		g, _ := p.begin(m)
		grants = append(grants, g)
		p.queue.remove(m)
	}
	return grants
}

// FetchDone lets m, whose files are fetched, wait for a slot, before every member that has not
// fetched.
func (p *Pool[M]) FetchDone(m M) []Grant[M] {
	p.fetched.push(m)
	return p.Dispatch()
}

// StepAside takes the slot back from a recovered member that turned out to have files to fetch. The
// member waits before the rest of the queue, behind others that had to step aside. The error is the
// reason why no slot will ever be free again.
func (p *Pool[M]) StepAside(m M, s Slot, now time.Time) ([]Grant[M], error) {
	delete(p.workers[s.Worker].running, m)
	if status := p.Status(); status == SetupFailed || status == Defunct {
		return nil, p.Refusal(now)
	}
	p.queue.pushBefore(m, func(other M) bool { return other.Recovered() && other.Fetches() })
	return p.Dispatch(), nil
}

// Withdraw removes a member that gave up from the line in which it waits.
func (p *Pool[M]) Withdraw(m M) {
	p.queue.remove(m)
	p.fetched.remove(m)
}

// Recover registers a member of an earlier server. It replaces another member with its id, and
// returns that one. A live member has no place in a line until Requeue.
func (p *Pool[M]) Recover(m M, finished bool) (replaced M, found bool) {
	old, found := p.members[m.ID()]
	if found {
		p.retained.remove(m.ID())
	}
	p.members[m.ID()] = entry[M]{m, finished}
	if finished {
		p.retained.add(m.ID(), m.Size(), m.Accepted())
	}
	return old.member, found
}

// Requeue lets a recovered member wait for a slot, however many members wait already.
func (p *Pool[M]) Requeue(m M) {
	p.members[m.ID()] = entry[M]{member: m}
	p.queue.push(m)
}

// Finished is the outcome of Finish.
type Finished[M Member] struct {
	Grants    []Grant[M]
	Expired   []M      // finished members that are no longer retained
	Abandoned []string // ids that the process is still running, if it runs nothing else: kill it
}

// Finish takes back the slot of m, if it has one, and retains m for Limits.RetainFor from now on. A
// worker whose process runs only abandoned members gets PhaseEnding: the caller replaces the
// process.
func (p *Pool[M]) Finish(m M, s Slot, now time.Time) (f Finished[M]) {
	if s.taken {
		f.Abandoned = p.workers[s.Worker].leave(m)
	}
	delete(p.fetching, m)
	f.Grants = p.Dispatch()
	if p.limits.Retain <= 0 {
		delete(p.members, m.ID())
		return f
	}
	p.members[m.ID()] = entry[M]{m, true}
	p.retained.add(m.ID(), m.Size(), now)
	f.Expired = p.Expire(now)
	return f
}

// Expire forgets the finished members that are too old, too many or too large together, and returns
// them.
func (p *Pool[M]) Expire(now time.Time) (expired []M) {
	for _, id := range p.retained.expire(now) {
		if e := p.members[id]; e.finished {
			delete(p.members, id)
			expired = append(expired, e.member)
		}
	}
	return expired
}

// Forget drops a member that runs nowhere, live or retained. Another one with its id stays.
func (p *Pool[M]) Forget(m M) {
	if e, ok := p.members[m.ID()]; ok && e.member == m {
		p.retained.remove(m.ID())
		delete(p.members, m.ID())
	}
}

// Get returns the live or retained member with this id.
func (p *Pool[M]) Get(id string) (m M, ok bool) {
	e, ok := p.members[id]
	return e.member, ok
}

// All yields the live and the retained members, in any order.
func (p *Pool[M]) All() iter.Seq[M] {
	return func(yield func(M) bool) {
		for _, e := range p.members {
			if !yield(e.member) {
				return
			}
		}
	}
}

// Live yields the members that have not finished, in any order.
func (p *Pool[M]) Live() iter.Seq[M] {
	return func(yield func(M) bool) {
		for _, e := range p.members {
			if !e.finished && !yield(e.member) {
				return
			}
		}
	}
}

// Retains reports whether finished members are retained at all.
func (p *Pool[M]) Retains() bool { return p.limits.Retain > 0 }

// Waiting returns the number of members that wait for a slot.
func (p *Pool[M]) Waiting() int { return p.queue.len() + p.fetched.len() }

// Fetching returns the number of members whose files are being fetched without a slot.
func (p *Pool[M]) Fetching() int { return len(p.fetching) - p.fetched.len() }

// InFlight returns the number of admitted members that have not finished.
func (p *Pool[M]) InFlight() int {
	n := p.queue.len() + len(p.fetching)
	for i := range p.workers {
		n += len(p.workers[i].running)
	}
	return n
}

// Hopeless returns the members that wait although no worker will ever be ready again. defunct
// reports whether every worker is Defunct.
func (p *Pool[M]) Hopeless() (waiting []M, defunct bool) {
	count := p.phases()
	if count[PhaseStarting]+count[PhaseReady]+count[PhaseEnding] > 0 {
		return nil, false
	}
	waiting = slices.AppendSeq(slices.Collect(p.queue.all()), maps.Keys(p.fetching))
	return waiting, count[PhaseDefunct] == len(p.workers)
}
