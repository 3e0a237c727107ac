package queue

import (
	"context"
	"errors"
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

// List returns up to limit predictions of the model, and a cursor for those that follow, empty at
// the end. It lists one method only, or all if that is empty. What waits comes before what runs or
// has ended; each part begins with the latest.
func (q *Queue) List(only prediction.Method, after string, limit int) (page []*prediction.Prediction, next string, err error) {
	at, ok := parseCursor(after)
	if !ok {
		return nil, "", errCursor()
	}
	if err := q.usable(); err != nil {
		return nil, "", err
	}
	target, err := q.route()
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(q.ctx, 2*patience)
	defer cancel()
	l := listing{q: q, ctx: ctx, model: token(target.entry.Name), only: only, limit: limit, looks: listLooks}
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
	q     *Queue
	ctx   context.Context
	model string
	only  prediction.Method
	limit int
	looks int // that are left
	page  []*prediction.Prediction
}

// waiting lists what no worker has had yet: in the stream of requests it follows what the consumer
// has delivered.
func (l *listing) waiting(at cursor) (cursor, error) {
	c, err := l.q.broker.js.Consumer(l.ctx, askedStream, l.model)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return cursor{}, nil
	}
	if err != nil {
		return at, err
	}
	first := c.CachedInfo().Delivered.Stream + 1
	return l.backwards(l.q.broker.requests, at, first, func(m *jetstream.RawStreamMsg) {
		a, err := askedOf(m.Subject, m.Sequence, m.Header, m.Data)
		if err != nil || a.model != l.model {
			return
		}
		entry, err := l.q.entry(l.ctx, a)
		if err == nil {
			l.add(prediction.New(entry.Complete(), prediction.Limits{}))
		}
	})
}

// states lists what runs or has ended.
func (l *listing) states(at cursor) (cursor, error) {
	return l.backwards(l.q.broker.states, at, 1, func(m *jetstream.RawStreamMsg) {
		s, err := stateOf(m.Subject, m.Sequence, m.Header, m.Data)
		if err != nil || s.model != l.model {
			return
		}
		if p, err := s.view(); err == nil {
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
func (l *listing) backwards(s jetstream.Stream, at cursor, first uint64, show func(*jetstream.RawStreamMsg)) (cursor, error) {
	info, err := s.Info(l.ctx)
	if err != nil {
		return at, err
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
func (s state) view() (*prediction.Prediction, error) {
	stored, err := prediction.ReadSnapshot(s.body)
	if err != nil {
		return nil, err
	}
	r := s.request(stored)
	if s.kind == ended {
		return stored.Restored(r, prediction.Value{Raw: stored.Output}), nil
	}
	p := prediction.New(r, prediction.Limits{})
	if s.kind == claimed {
		p.Start(stored.StartedAt)
	}
	return p, nil
}

// request is as much of a request as its state says.
func (s state) request(stored prediction.Stored) prediction.Request {
	return prediction.Request{
		ID: stored.ID, Method: s.method, CreatedAt: stored.CreatedAt, Input: stored.Input, Echo: stored.Input,
		More: prediction.ReadMore(s.body), Detached: true,
	}
}
