package queue

import (
	"context"
	"errors"
	"math"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/coggo/coggo/internal/prediction"
)

// listLooks bounds how many sequences one page of a list looks at: there may be long gaps. A page
// that it has cut short has a cursor, as any other.
const listLooks = 2000

// cursor is a place in a list: first what waits, newest first, then the states, latest change
// first.
type cursor struct {
	waiting bool
	before  uint64 // sequence in the stream of requests or of states; 0: its end
}

func (c cursor) String() string {
	stream := "p"
	if c.waiting {
		stream = "q"
	}
	return stream + strconv.FormatUint(c.before, 36)
}

// parseCursor reads what String wrote; an empty text is the beginning.
func parseCursor(text string) (c cursor, ok bool) {
	if text == "" {
		return cursor{waiting: true}, true
	}
	before, err := strconv.ParseUint(text[1:], 36, 64)
	return cursor{text[0] == 'q', before}, err == nil && (text[0] == 'q' || text[0] == 'p')
}

// List returns up to limit predictions of a model, in all versions unless the name has one, and a
// cursor for those that follow, empty at the end. It lists those of all models without a name, and
// one method only, or all if that is empty. Predictions that wait come before those that run or
// have ended; each part begins with the latest.
func (q *Queue) List(
	name string, only prediction.Method, after string, limit int,
) (page []*prediction.Prediction, next string, err error) {
	at, ok := parseCursor(after)
	if !ok {
		return nil, "", errCursor()
	}
	if err := q.usable(); err != nil {
		return nil, "", err
	}
	if q.broker.narrow {
		return nil, "", errOnlyGateways("list predictions at a gateway")
	}
	models := among(q.directory.all(), name)
	if len(models) == 0 {
		_, err := q.choose(name, "")
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(q.ctx, 2*patience)
	defer cancel()
	l := listing{q: q, ctx: ctx, models: map[string]string{}, only: only, limit: limit, looks: listLooks}
	for _, m := range models {
		l.models[token(m.Name)] = m.Name
	}
	if at.waiting {
		if at, err = l.waiting(at); err != nil {
			return nil, "", q.unreachable(err)
		}
	}
	if !at.waiting {
		if at, err = l.states(at); err != nil {
			return nil, "", q.unreachable(err)
		}
	}
	if at.before > 0 || at.waiting {
		next = at.String()
	}
	return l.page, next, nil
}

// listing is one page in the making.
type listing struct {
	q      *Queue
	ctx    context.Context
	models map[string]string // name by token
	only   prediction.Method
	limit  int
	looks  int // that are left
	page   []*prediction.Prediction
}

// waiting lists what no worker has had yet: in the stream of requests it follows what the consumer
// of the model has delivered.
func (l *listing) waiting(at cursor) (cursor, error) {
	first := map[string]uint64{} // sequence of what may wait, by token
	lowest := uint64(math.MaxUint64)
	for key := range l.models {
		c, err := l.q.broker.js.Consumer(l.ctx, askedStream, key)
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			continue
		}
		if err != nil {
			return at, lacks("stream "+askedStream, err)
		}
		if info := c.CachedInfo(); info.NumPending > 0 {
			first[key] = info.Delivered.Stream + 1
			lowest = min(lowest, first[key])
		}
	}
	if len(first) == 0 {
		return cursor{}, nil
	}
	return l.backwards(l.q.broker.requests, at, lowest, func(m *jetstream.RawStreamMsg) {
		a, err := askedOf(m.Subject, m.Sequence, m.Header, m.Data)
		if err != nil || first[a.model] == 0 || a.seq < first[a.model] {
			return
		}
		entry, err := l.q.entry(l.ctx, a)
		if err == nil {
			l.add(prediction.New(l.q.request(a, entry), prediction.Limits{}))
		}
	})
}

// states lists what runs or has ended.
func (l *listing) states(at cursor) (cursor, error) {
	return l.backwards(l.q.broker.states, at, 1, func(m *jetstream.RawStreamMsg) {
		s, err := stateOf(m.Subject, m.Sequence, m.Header, m.Data)
		if err != nil || l.models[s.model] == "" {
			return
		}
		if p, err := l.q.view(s); err == nil {
			l.add(p)
		}
	})
}

func (l *listing) add(p *prediction.Prediction) {
	if l.only == "" || p.Request.Method == l.only {
		l.page = append(l.page, p)
	}
}

// backwards shows each message of a stream before the cursor, latest first, until the page is full,
// and returns where it stopped.
func (l *listing) backwards(
	s jetstream.Stream, at cursor, first uint64, show func(*jetstream.RawStreamMsg),
) (cursor, error) {
	info, err := s.Info(l.ctx)
	if err != nil {
		return at, lacks("stream "+s.CachedInfo().Config.Name, err)
	}
	if last := info.State.LastSeq; at.before == 0 || at.before > last {
		at.before = last + 1
	}
	first = max(first, info.State.FirstSeq)
	for at.before > first {
		if len(l.page) == l.limit || l.looks == 0 {
			return at, nil
		}
		at.before--
		l.looks--
		m, err := s.GetMsg(l.ctx, at.before)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return at, err
		}
		show(m)
	}
	return cursor{}, nil // of the states: at their beginning
}

// view is the prediction as a list shows it.
func (q *Queue) view(s state) (*prediction.Prediction, error) {
	stored, err := prediction.ReadSnapshot(s.body)
	if err != nil {
		return nil, err
	}
	r := q.requestOf(s, stored)
	if s.kind == ended {
		p := stored.Restored(r, prediction.Value{Raw: stored.Output})
		// A page would hold the whole messages of all ends otherwise, until it is written.
		stored, err = prediction.ReadSnapshot(p.Snapshot().Short().AppendJSON(nil))
		return stored.Restored(q.requestOf(s, stored), prediction.Value{Raw: stored.Output}), err
	}
	p := prediction.New(r, prediction.Limits{})
	if s.kind == claimed {
		p.Start(stored.StartedAt)
	}
	return p, nil
}

// requestOf is as much of a request as its state says.
func (q *Queue) requestOf(s state, stored prediction.Stored) prediction.Request {
	return prediction.Request{
		Model: q.directory.nameOf(s.model), ID: stored.ID, Method: s.method, CreatedAt: stored.CreatedAt,
		Input: stored.Input, MaskedInput: stored.Input, Extra: prediction.ReadExtra(s.body), Detached: true,
	}
}
