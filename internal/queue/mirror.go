package queue

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/coggo/coggo/internal/prediction"
)

// mirror is a prediction as this process sees it: the broker's states applied to a
// prediction.Prediction, which those who wait and those who read its stream share.
type mirror struct {
	place
	q          *Queue
	run        string
	prediction *prediction.Prediction
	fed        chan struct{} // closed when the first events have come
	once       sync.Once     // closes it

	mu      sync.Mutex         // guards the rest
	sub     *nats.Subscription // nil: nobody follows it
	wanted  bool               // somebody reads its events
	asked   int                // the last event that was known when the worker was asked
	askedAt time.Time          // when that was
	turn    int                // of the claim that the events are of; 0 before the first
	owner   string             // of that claim
	early   []*nats.Msg        // events that came before the first claim
	seq     uint64             // of the last state that was applied
	used    time.Time
	over    bool // it has ended, or nobody follows it any more
}

// mirrors are those that somebody follows, or has asked for lately.
type mirrors struct {
	mu       sync.Mutex         // guards the rest
	all      map[string]*mirror // by run
	latest   map[string]*mirror // by key; an earlier run of the id may still have its own
	sweeping bool
}

// A mirror that was asked for by a GET alone goes on for mirrorFor, because who polls comes again.
// Every sweepEvery the others are dropped, and those that somebody waits for are compared with the
// broker, in case a message was lost.
const (
	mirrorFor  = 15 * time.Second
	sweepEvery = 5 * time.Second
)

// mirror returns the mirror of a run that the broker has, which others may use already.
func (q *Queue) mirror(at place, run string, r prediction.Request) *mirror {
	if m := q.known(at.key); m != nil && m.run == run {
		return m
	}
	return q.newMirror(at, run, r).share()
}

// newMirror returns a mirror of a run. It follows the broker if the request says that somebody
// waits. Until it is shared no other request finds it, because the broker may not accept the run.
func (q *Queue) newMirror(at place, run string, r prediction.Request) *mirror {
	m := &mirror{
		place: at, q: q, run: run, fed: make(chan struct{}), used: q.config.Now(),
		prediction: prediction.New(r, prediction.Limits{History: q.config.History}),
	}
	if r.Followed {
		m.subscribe()
	}
	return m
}

// subscribe lets the mirror hear of the prediction. Its end may come, and drop the mirror, before
// Subscribe has returned.
func (m *mirror) subscribe() {
	sub, err := m.q.broker.nc.Subscribe(m.stored(), m.hear)
	if err != nil {
		return // the connection is closed
	}
	m.mu.Lock()
	m.sub = sub
	over := m.over
	m.mu.Unlock()
	if over {
		_ = sub.Unsubscribe() // the connection may be closed
	}
}

// share lets other requests find the mirror of a run that the broker has, and the sweep look after
// it. If another request was faster it drops this mirror, and returns that of the other one.
func (m *mirror) share() *mirror {
	if !m.prediction.Request.Followed {
		return m
	}
	shared := m.q.mirrors.add(m)
	if shared != m {
		m.drop()
	} else if m.isOver() {
		m.drop() // its end came before it was added
	}
	return shared
}

// add returns the mirror of the run that is there now: m, or one that was there before.
func (ms *mirrors) add(m *mirror) *mirror {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if known := ms.all[m.run]; known != nil && known.touch() {
		return known
	}
	ms.all[m.run], ms.latest[m.key] = m, m
	if !ms.sweeping {
		ms.sweeping = true
		m.q.work.Go(m.q.sweepMirrors)
	}
	return m
}

// remove removes a mirror, if it is there.
func (ms *mirrors) remove(m *mirror) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if ms.all[m.run] == m {
		delete(ms.all, m.run)
	}
	if ms.latest[m.key] == m {
		delete(ms.latest, m.key)
	}
}

// known returns the mirror of a prediction that is followed already, nil if there is none.
func (q *Queue) known(key string) *mirror {
	q.mirrors.mu.Lock()
	m := q.mirrors.latest[key]
	q.mirrors.mu.Unlock()
	if m == nil || !m.touch() {
		return nil
	}
	return m
}

// touch lets the mirror go on for mirrorFor. It reports false if it is over.
func (m *mirror) touch() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used = m.q.config.Now()
	return !m.over
}

// retire ends the mirror unless somebody has touched it within mirrorFor. It reports whether it
// has: nobody gets it any more then.
func (m *mirror) retire(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.used) <= mirrorFor {
		return false
	}
	m.over = true
	return true
}

func (m *mirror) isOver() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.over
}

// drop ends the mirror. Readers that have the prediction keep it as it is.
func (m *mirror) drop() {
	m.mu.Lock()
	m.over = true
	sub := m.sub
	m.mu.Unlock()
	if sub != nil {
		_ = sub.Unsubscribe() // the connection may be closed
	}
	m.q.mirrors.remove(m)
}

// hear takes a state that the broker has stored.
func (m *mirror) hear(msg *nats.Msg) {
	if msg.Header.Get(headerFirst) != "" {
		m.hearEvents(msg)
		return
	}
	if msg.Header.Get(headerState) == "" {
		m.hearPast(msg)
		return
	}
	seq, err := strconv.ParseUint(msg.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		return
	}
	s, err := stateOf(msg.Subject, seq, msg.Header, msg.Data)
	if err != nil {
		m.q.trouble(err) // those who wait learn nothing
		return
	}
	m.apply(s)
}

// apply takes a state, unless it is of another run or older than what is known.
func (m *mirror) apply(s state) {
	m.mu.Lock()
	if s.run != m.run || s.seq <= m.seq || m.over {
		m.mu.Unlock()
		return
	}
	m.seq = s.seq
	wanted, early := m.wanted, m.early
	m.early = nil
	if s.kind != ended {
		m.turnLocked(s)
	}
	m.mu.Unlock()
	for _, msg := range early {
		m.hearEvents(msg)
	}
	switch {
	case s.kind == ended:
		m.applyEnd(s)
	case s.kind == claimed && wanted:
		m.ask()
	}
}

// turnLocked notes which worker has the run now. The work of an earlier one is void.
func (m *mirror) turnLocked(s state) {
	m.turn, m.owner = s.turn, s.owner
	if s.kind == returned { // nobody has it
		m.owner = ""
		m.prediction.Reset(s.turn + 1)
		m.prediction.RunBy("")
		return
	}
	m.prediction.Reset(s.turn)
	if stored, err := prediction.ReadSnapshot(s.body); err == nil {
		m.prediction.Start(stored.StartedAt)
		m.prediction.RunBy(s.worker())
	}
}

// applyEnd ends the prediction. If the end can't be read, the next sweep tries again.
func (m *mirror) applyEnd(s state) {
	if err := m.finish(s); err != nil {
		m.q.config.Log.Error("read the end of a prediction", "id", m.prediction.Request.ID, "error", err)
		m.mu.Lock()
		m.seq = 0
		m.mu.Unlock()
		return
	}
	m.drop()
}

// finish ends the prediction as the state says.
func (m *mirror) finish(s state) error {
	end, err := m.q.broker.loadPast(m.q.ctx, s.place, s.payload, false)
	if err != nil {
		return err
	}
	shadow := prediction.New(m.prediction.Request, prediction.Limits{})
	streamed, err := end.play(shadow, s.turn)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.prediction.RunBy(s.worker())
	m.prediction.Adopt(shadow)
	if m.prediction.Finish(end.result(streamed)) {
		m.prediction.Publish()
	}
	return nil
}

// refresh compares the mirror with the broker.
func (m *mirror) refresh(ctx context.Context) {
	s, err := m.q.broker.state(ctx, m.key)
	switch {
	case err != nil:
	case s.run == m.run:
		m.apply(s)
	default:
		m.endIfGone(ctx)
	}
}

// endIfGone ends a prediction that is in no queue any more: an operator has removed it, or its end
// was not kept for as long as somebody has waited.
func (m *mirror) endIfGone(ctx context.Context) {
	a, found, err := m.q.broker.asked(ctx, m.key)
	if err != nil || found && a.run == m.run {
		return
	}
	s, err := m.q.broker.state(ctx, m.key) // it may have been claimed between the two looks
	if err != nil || s.run == m.run {
		return
	}
	m.drop()
	if m.prediction.Finish(prediction.Result{
		Status: prediction.Failed, Error: notQueued, CompletedAt: m.q.config.Now(),
	}) {
		m.prediction.Publish()
	}
}

// sweepMirrors runs while there are mirrors.
func (q *Queue) sweepMirrors() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-q.ctx.Done():
			return
		}
		if q.sweep(true) {
			return
		}
	}
}

// sweep refreshes the mirrors, and drops those that nobody needs. It reports whether none is left.
func (q *Queue) sweep(drop bool) (none bool) {
	q.mirrors.mu.Lock()
	if none = len(q.mirrors.all) == 0; none && drop {
		q.mirrors.sweeping = false
	}
	all := slices.Collect(maps.Values(q.mirrors.all))
	q.mirrors.mu.Unlock()
	now := q.config.Now()
	for _, m := range all {
		m.mu.Lock()
		age, wanted := now.Sub(m.used), m.wanted
		m.mu.Unlock()
		watched := m.prediction.Watched()
		if drop && !watched && m.retire(now) {
			m.drop()
			continue
		}
		if !drop || age > sweepEvery {
			ctx, cancel := context.WithTimeout(q.ctx, patience)
			m.refresh(ctx)
			cancel()
			if wanted && (watched || !drop) {
				m.ask()
			}
		}
	}
	return none
}

func (ms *mirrors) close() {
	ms.mu.Lock()
	all := slices.Collect(maps.Values(ms.all))
	ms.mu.Unlock()
	for _, m := range all {
		m.drop()
	}
}

// restore returns a prediction as a state says it is, with its events only if they are asked for.
// One that has not ended is followed.
func (q *Queue) restore(ctx context.Context, s state, events bool) (*mirror, error) {
	if s.kind != ended {
		return q.follow(ctx, s)
	}
	read := func() (*prediction.Prediction, error) { return q.readEnd(s, events) }
	var p *prediction.Prediction
	var err error
	if s.payload.inPieces() {
		events = true // for all who read it
		p, err = q.ends.get(s.payload.object.name, read)
	} else {
		p, err = read()
	}
	if errors.Is(err, errObjectGone) {
		return nil, errGone()
	}
	if err != nil {
		return nil, q.unreachable(err)
	}
	return &mirror{place: s.place, q: q, run: s.run, prediction: p, over: true}, nil
}

// readEnd reads an end from the broker.
func (q *Queue) readEnd(s state, events bool) (p *prediction.Prediction, err error) {
	load := q.broker.loadEnd
	if events {
		load = q.broker.loadPast
	}
	end, err := load(q.ctx, s.place, s.payload, true)
	if err != nil {
		return nil, err
	}
	r := q.requestOf(s, end.Stored)
	if !events {
		p = end.Restored(r, end.output)
	} else if p, err = end.ended(r, s.turn, q.config.History); err != nil {
		return nil, unreadable{err}
	}
	p.RunBy(s.worker())
	return p, nil
}

// follow returns the mirror of a prediction that a worker runs, or has given back.
func (q *Queue) follow(ctx context.Context, s state) (*mirror, error) {
	stored, err := prediction.ReadSnapshot(s.body)
	if err != nil {
		return nil, q.unreachable(unreadable{err})
	}
	m := q.mirror(s.place, s.run, followed(q.requestOf(s, stored)))
	m.apply(s)
	m.refresh(ctx) // it may have ended before the subscription began
	return m, nil
}
