package queue

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A broker may lose track of messages: they are in a stream, but its consumer neither gives them
// out nor waits for their ack. The janitor finds them and recreates the consumer, which gives out
// again all that is there. Claims keep a prediction that runs from running twice.
//
// What nobody refers to any more needs no janitor: objects and the entries of workers have a
// lifetime in the broker.

// Each process tries every janitorEvery to be the janitor of what it knows, and looks again every
// janitorAgain while something seems to be stuck. It believes so after janitorSure comparisons in a
// row: in a cluster an acknowledged message may be there for a moment longer, and to make a
// consumer again for nothing would deliver webhooks twice. The key of a janitor that was killed is
// free after janitorFor.
const (
	janitorSure  = 2
	janitorEvery = time.Minute
	janitorAgain = 5 * time.Second
	janitorFor   = 90 * time.Second
)

// chore is a consumer that the janitor looks after.
type chore struct {
	stream, consumer, filter string
	model                    string // its name; empty for the webhooks of all
}

// key is the subject that says who looks after it.
func (c chore) key() string { return directoryPrefix + c.consumer + "." + janitorKey }

// chores are the consumers of all models that this process knows, and that of the webhooks.
func (q *Queue) chores() []chore {
	names := q.directory.names()
	if own := q.config.Name; own != "" && !slices.Contains(names, own) {
		names = append(names, own) // its model is being set up
	}
	var all []chore
	if !q.broker.narrow {
		all = append(all, chore{stream: hookStream, consumer: hookConsumer, filter: hookPrefix + ">"})
	}
	for _, name := range names {
		all = append(all, chore{askedStream, token(name), askedPrefix + token(name) + ".>", name})
	}
	return all
}

// janitor is the work of this process as one.
type janitor struct {
	q         *Queue
	held      map[string]uint64 // sequences of the keys that this process has
	seen      map[string]glance // last glances, by key, if there is to be another one
	explained map[string]int    // by key: see mayHaveLost
}

// keepClean looks after the queues until this one is closed.
func (q *Queue) keepClean() {
	j := janitor{q: q, held: map[string]uint64{}, seen: map[string]glance{}, explained: map[string]int{}}
	defer j.release()
	for {
		wait := janitorEvery
		all := q.chores()
		for _, stream := range []string{hookStream, askedStream} {
			if j.clean(stream, all) {
				wait = janitorAgain
			}
		}
		select {
		case <-time.After(wait):
		case <-q.ctx.Done():
			return
		}
	}
}

// clean does what there is to do for the consumers of a stream. It reports whether it has to look
// again soon.
func (j *janitor) clean(stream string, all []chore) (again bool) {
	var known, mine []chore
	for _, c := range all {
		if c.stream != stream {
			continue
		}
		known = append(known, c)
		if j.q.broker.connected() && j.mayDo(c) {
			mine = append(mine, c)
		}
	}
	if len(mine) == 0 {
		return false
	}
	untracked, err := j.untracked(stream, known)
	if err != nil {
		j.q.complain("count what its stream has", mine[0], err)
		return false
	}
	for _, c := range mine {
		again = j.do(c, untracked) || again
	}
	return again
}

// mayHaveLost reports whether a consumer may have lost track of messages, so that it is worth a
// list of its subjects: one of 100,000 costs the broker 121 ms, and the numbers cost it less than
// 1 ms. untracked counts the messages of the whole stream. Those of consumers that this process
// does not know are among them, for instance the requests of a model that was removed: the lists of
// this consumer before have explained so many.
func (j *janitor) mayHaveLost(key string, untracked int) bool {
	j.explained[key] = min(j.explained[key], untracked)
	return untracked > j.explained[key]
}

// countAgain is how often the messages of a stream are counted that its consumers do not track. The
// numbers are not of one moment, so in a busy queue some are too large.
const countAgain = 3

// untracked is how many messages of a stream these consumers have neither still to give out, nor
// wait for the ack of.
func (j *janitor) untracked(stream string, known []chore) (least int, err error) {
	ctx, cancel := context.WithTimeout(j.q.ctx, patience)
	defer cancel()
	least = math.MaxInt
	for range countAgain {
		s, err := j.q.broker.js.Stream(ctx, stream)
		if err != nil {
			return 0, err
		}
		count := int(s.CachedInfo().State.Msgs)
		for _, c := range known {
			found, err := j.q.broker.js.Consumer(ctx, stream, c.consumer)
			switch {
			case err == nil:
				count -= trackedBy(found.CachedInfo())
			case !errors.Is(err, jetstream.ErrConsumerNotFound): // all that it had is untracked
				return 0, err
			}
		}
		if least = min(least, max(0, count)); least == 0 {
			break
		}
	}
	return least, nil
}

// trackedBy is how many messages a consumer has still to give out, or waits for the ack of.
func trackedBy(info *jetstream.ConsumerInfo) int { return int(info.NumPending) + info.NumAckPending }

// mayDo reports whether this process is the one that looks after a consumer, and makes it so if
// nobody is.
func (j *janitor) mayDo(c chore) bool {
	ack, err := j.q.broker.publish(j.q.ctx, nats.NewMsg(c.key()),
		jetstream.WithExpectLastSequencePerSubject(j.held[c.key()]), jetstream.WithMsgTTL(janitorFor))
	if err != nil {
		delete(j.held, c.key())
		delete(j.seen, c.key())
		delete(j.explained, c.key()) // another janitor may leave a message that it has seen
		j.q.stuck.set(c.model, 0)
		return false
	}
	j.held[c.key()] = ack.Sequence
	return true
}

// release lets others be the janitor at once.
func (j *janitor) release() {
	ctx, cancel := context.WithTimeout(context.Background(), attempt)
	defer cancel()
	for key, seq := range j.held {
		_, err := j.q.broker.publish(ctx, nats.NewMsg(key),
			jetstream.WithExpectLastSequencePerSubject(seq), jetstream.WithMsgTTL(time.Second))
		if err != nil {
			return // the key has a lifetime
		}
	}
}

// do looks for stuck messages once, in a list of all if that is worth its cost. It reports whether
// it has to look a second time.
func (j *janitor) do(c chore, untracked int) (again bool) {
	ctx, cancel := context.WithTimeout(j.q.ctx, 4*patience)
	defer cancel()
	before, known := j.seen[c.key()]
	delete(j.seen, c.key())
	list := j.mayHaveLost(c.key(), untracked)
	now, err := j.q.glance(ctx, c, list || known)
	if err != nil {
		j.q.complain("look after a queue", c, err)
		return false
	}
	if !known {
		j.q.stuck.set(c.model, 0)
		if now.suspicious() {
			j.seen[c.key()] = now
		} else if list {
			j.explained[c.key()] = untracked
		}
		return now.suspicious()
	}
	lost := now.lost(before)
	if now.times = before.times + 1; lost > 0 && now.times < janitorSure {
		j.seen[c.key()] = now
		return true
	}
	j.q.stuck.set(c.model, lost)
	if lost > 0 {
		j.q.config.Log.Warn("the queue's broker does not give out what it has: recreating its consumer",
			"consumer", c.consumer, "stream", c.stream, "count", lost)
		if err := j.q.remake(ctx, c); err != nil {
			j.q.complain("recreate a consumer", c, err)
		}
	} else if before.there != nil { // two lists were compared
		j.explained[c.key()] = untracked
	}
	return false
}

// glance is what a consumer and its stream say at one time.
type glance struct {
	tracked int             // messages that the consumer has still to give out, or waits for the ack of
	there   map[string]bool // subjects of the messages in the stream, if they were listed; each has one of its own
	times   int             // comparisons with earlier glances that found something
	passed  uint64          // sequence of the first message, if the consumer takes it for acknowledged
}

// suspicious reports whether messages may be stuck. The numbers are not of one moment, so only a
// second glance tells.
func (g glance) suspicious() bool { return len(g.there) > g.tracked || g.passed > 0 }

// lost is how many messages are stuck at least. What was there at both glances was there when the
// consumer was asked at this one. In a busy queue new messages hide what is stuck, but soon it is
// the first message and the consumer has passed it.
func (g glance) lost(before glance) int {
	lost := -g.tracked
	for subject := range g.there {
		if before.there[subject] {
			lost++
		}
	}
	if g.passed > 0 && g.passed == before.passed {
		return max(1, lost)
	}
	return max(0, lost)
}

// glance asks the consumer first, and then the stream.
func (q *Queue) glance(ctx context.Context, c chore, list bool) (g glance, err error) {
	found, err := q.broker.js.Consumer(ctx, c.stream, c.consumer)
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return g, err
	}
	var floor uint64
	if err == nil {
		info := found.CachedInfo()
		g.tracked, floor = trackedBy(info), info.AckFloor.Stream
	}
	s, err := q.broker.js.Stream(ctx, c.stream)
	if err != nil {
		return g, err
	}
	if list {
		info, err := s.Info(ctx, jetstream.WithSubjectFilter(c.filter))
		if err != nil {
			return g, err
		}
		g.there = make(map[string]bool, len(info.State.Subjects))
		for subject := range info.State.Subjects {
			g.there[subject] = true
		}
	}
	if s.CachedInfo().State.Msgs == 0 || floor == 0 || q.broker.narrow {
		return g, nil
	}
	first, err := s.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(c.filter))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return g, nil
	}
	if err == nil && first.Sequence <= floor {
		g.passed = first.Sequence
	}
	return g, err
}

func (q *Queue) complain(what string, c chore, err error) {
	if q.ctx.Err() == nil {
		q.config.Log.Warn(what, "consumer", c.consumer, "stream", c.stream, "error", err)
	}
}

// remake replaces a consumer by one with the same settings that begins with the first message. What
// workers have comes again, and they drop it; their acks still count.
func (q *Queue) remake(ctx context.Context, c chore) error {
	old, err := q.broker.js.Consumer(ctx, c.stream, c.consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		_, err = q.broker.consumer(ctx, c.stream, c.consumer, c.filter)
		return err
	}
	if err != nil {
		return err
	}
	settings := old.CachedInfo().Config
	settings.FilterSubject, settings.FilterSubjects = c.filter, nil
	settings.DeliverPolicy, settings.OptStartSeq, settings.OptStartTime = jetstream.DeliverAllPolicy, 0, nil
	err = q.broker.js.DeleteConsumer(ctx, c.stream, c.consumer)
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return err
	}
	if _, err = q.broker.js.CreateConsumer(ctx, c.stream, settings); err != nil {
		_, err = q.broker.consumer(ctx, c.stream, c.consumer, c.filter) // its settings may no longer do
	}
	return err
}

// stuck are the numbers of messages that the janitor of this process found last.
type stuck struct {
	mu    sync.Mutex // guards found
	found map[string]int
}

func (s *stuck) set(model string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.found == nil {
		s.found = map[string]int{}
	}
	s.found[model] = n
}

func (s *stuck) of(model string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.found[model]
}
