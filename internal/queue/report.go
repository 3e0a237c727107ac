package queue

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/coggo/coggo/internal/supervisor"
)

// lookFor is how long a health check waits for the numbers of a queue.
const lookFor = time.Second

// Report is what the queue has of a model, in all versions unless the name has one; without a name,
// of all models. Without an answer of the broker it has no numbers.
func (q *Queue) Report(ctx context.Context, name string) supervisor.QueueHealth {
	if err := q.usable(); err != nil {
		return supervisor.QueueHealth{Why: err.Error()}
	}
	sum := supervisor.QueueHealth{Connected: true}
	models := among(q.directory.all(), name)
	if len(models) == 1 {
		sum.Model = models[0].Name
	}
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	for _, m := range models {
		one, _ := q.report(ctx, m.Name)
		sum.Workers += one.Workers
		sum.Slots += one.Slots
		sum.Waiting += one.Waiting
		sum.Running += one.Running
	}
	return sum
}

// report is what the queue of a model has.
func (q *Queue) report(ctx context.Context, name string) (supervisor.QueueHealth, error) {
	report := supervisor.QueueHealth{Connected: true, Model: name}
	for _, w := range q.directory.present(name) {
		if !w.Draining {
			report.Workers++
			report.Slots += w.Slots
		}
	}
	d, err := q.depths.of(ctx, name)
	report.Waiting, report.Running = d.waiting, d.running
	return report, err
}

// Look returns the state of a model's queue; an empty name means the model of requests without a
// name. The error is a *prediction.Error: NotFound names the models that there are. Without numbers
// it is NotReady, because an autoscaler must not take a broker that is away for an empty queue.
func (q *Queue) Look(ctx context.Context, name string) (supervisor.QueueState, error) {
	if err := q.usable(); err != nil {
		return supervisor.QueueState{}, err
	}
	name, err := q.named(name)
	if err != nil {
		return supervisor.QueueState{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	state, err := q.look(ctx, name)
	if err != nil {
		return state, q.unreachable(err)
	}
	return state, nil
}

// named returns the name of a model that is known. A name that is given is that of one queue: who
// scales its workers does not mean another version.
func (q *Queue) named(name string) (string, error) {
	all := q.directory.all()
	switch {
	case len(all) == 0:
		return "", errNoModel()
	case name == "" && q.config.Name == "" && len(all) > 1:
		return "", errWhichQueue(namesOf(all))
	case name == "":
		m, err := q.choose(q.config.Name, "")
		if err != nil {
			return "", err
		}
		return m.Name, nil
	case q.directory.model(name) == nil:
		return "", errUnknownModel(name, namesOf(all))
	}
	return name, nil
}

func (q *Queue) look(ctx context.Context, name string) (s supervisor.QueueState, err error) {
	s.QueueHealth, err = q.report(ctx, name)
	switch {
	case err != nil:
	case q.broker.narrow:
		s.Oldest = -1
	case s.Waiting > 0:
		s.Oldest, err = q.oldest(ctx, name)
	}
	s.Stuck = q.stuck.of(name)
	return s, err
}

// oldest is how long the first prediction has waited that no worker of a model has had yet.
func (q *Queue) oldest(ctx context.Context, name string) (time.Duration, error) {
	d, err := q.depths.of(ctx, name)
	if err != nil {
		return 0, err
	}
	now := q.config.Now()
	at, err := q.heads.of(ctx, q.broker.requests, name, d.delivered, now)
	if err != nil || at.IsZero() {
		return 0, err
	}
	return max(0, now.Sub(at)), nil
}

// headFor is how long a look at the first request that waits counts: each costs the broker its
// whole body. The request may be canceled meanwhile.
const headFor = 5 * time.Second

// heads remember when the first of the requests that wait was stored.
type heads struct {
	mu   sync.Mutex // guards seen
	seen map[string]head
}

// head is the first request after a sequence.
type head struct {
	after uint64
	at    time.Time
	seen  time.Time
}

// of returns when the first request of a model after a sequence was stored; it is zero if there is
// none.
func (h *heads) of(
	ctx context.Context, s jetstream.Stream, name string, after uint64, now time.Time,
) (time.Time, error) {
	h.mu.Lock()
	known, ok := h.seen[name]
	h.mu.Unlock()
	if ok && known.after == after && now.Sub(known.seen) < headFor {
		return known.at, nil
	}
	m, err := s.GetMsg(ctx, after+1, jetstream.WithGetMsgSubject(askedPrefix+token(name)+".>"))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return time.Time{}, nil // a worker has taken it meanwhile
	}
	if err != nil {
		return time.Time{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.seen == nil {
		h.seen = map[string]head{}
	}
	h.seen[name] = head{after, m.Time, now}
	return m.Time, nil
}

// Each returns the state of the queue of each model that this process knows. It leaves out the
// models whose numbers the broker does not tell.
func (q *Queue) Each(ctx context.Context) []supervisor.QueueState {
	if !q.Connected() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var all []supervisor.QueueState
	for _, name := range q.directory.names() {
		if s, err := q.look(ctx, name); err == nil {
			all = append(all, s)
		}
	}
	return all
}
