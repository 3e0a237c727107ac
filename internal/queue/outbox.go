package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/webhook"
)

// hookTarget is the receiver of a terminal webhook, in the header of its message.
type hookTarget struct {
	ID          string `json:"id"`
	URL         string `json:"url"`
	TraceParent string `json:"traceparent,omitempty"`
	TraceState  string `json:"tracestate,omitempty"`
}

// owe puts the terminal webhook of a run into the broker, if a receiver subscribes to it. Any
// process delivers it. To owe it twice, after a crash between two steps, is harmless: the run is
// the message's id.
func (q *Queue) owe(ctx context.Context, at place, entry prediction.Entry, end payload) error {
	if !entry.WantsWebhook(prediction.WebhookCompleted) {
		return nil
	}
	target, err := json.Marshal(hookTarget{entry.ID, entry.Webhook, entry.TraceParent, entry.TraceState})
	if err != nil {
		return err
	}
	m := nats.NewMsg(at.hook())
	m.Data = end.body
	m.Header.Set(headerFormat, format)
	m.Header.Set(headerRun, entry.Run)
	m.Header.Set(headerHook, string(target))
	end.header(m.Header)
	_, err = q.broker.publish(ctx, m, jetstream.WithMsgID("hook-"+entry.Run))
	return err
}

// hooksAtOnce bounds the webhooks that this process delivers at once.
const hooksAtOnce = 256

// deliverWebhooks delivers what is owed until the queue is closed.
func (q *Queue) deliverWebhooks() {
	c, err := q.broker.js.Consumer(q.ctx, hookStream, hookConsumer)
	if err != nil {
		if q.ctx.Err() == nil {
			q.failed <- q.broker.explain("consumer "+hookConsumer, err)
		}
		return
	}
	d := deliveries{q: q, held: map[string]jetstream.Msg{}, room: make(chan struct{}, hooksAtOnce)}
	q.work.Go(d.beat)
	for q.fetch.Err() == nil {
		d.fetch(c)
	}
}

// deliveries are the webhooks that this process delivers now.
type deliveries struct {
	q    *Queue
	room chan struct{} // one for each

	mu   sync.Mutex // guards held
	held map[string]jetstream.Msg
}

// fetchFor is how long one request for webhooks waits for some.
const fetchFor = 5 * time.Second

// fetch takes what is owed, as much as there is room for.
func (d *deliveries) fetch(c jetstream.Consumer) {
	select {
	case d.room <- struct{}{}:
	case <-d.q.fetch.Done():
		return
	}
	<-d.room // nobody else takes room
	batch, err := c.Fetch(hooksAtOnce-len(d.room), jetstream.FetchMaxWait(fetchFor))
	if err != nil {
		d.pauseAfter(err)
		return
	}
	for {
		select {
		case m, ok := <-batch.Messages():
			if !ok {
				d.pauseAfter(batch.Error())
				return
			}
			d.room <- struct{}{}
			d.deliver(m)
		case <-d.q.fetch.Done():
			return
		}
	}
}

// pauseAfter waits a moment if the last request for webhooks has failed: while there is no
// consumer, the broker says so at once.
func (d *deliveries) pauseAfter(err error) {
	if err == nil {
		return
	}
	select {
	case <-time.After(attempt):
	case <-d.q.fetch.Done():
	}
}

// deliver begins the delivery of one webhook. It is taken off the broker once the receiver has
// acknowledged or refused it, or after the last attempt.
func (d *deliveries) deliver(m jetstream.Msg) {
	done := func() {
		d.mu.Lock()
		delete(d.held, m.Reply())
		d.mu.Unlock()
		<-d.room
	}
	d.mu.Lock()
	d.held[m.Reply()] = m
	d.mu.Unlock()
	target, body, err := d.q.webhookIn(m)
	if err != nil {
		done()
		d.q.config.Log.Error("a webhook of the queue can't be read", "subject", m.Subject(), "error", err)
		if errors.Is(err, errLost) {
			_ = m.Term() // it would come again for ever
		}
		return // it comes again, and may be read then, or by a later version
	}
	d.q.config.Webhooks.Redeliver(target, body, func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := m.DoubleAck(ctx); err != nil {
			d.q.config.Log.Warn("acknowledge a delivered webhook: it may be sent again", "id", target.ID, "error", err)
		}
		done()
	})
}

// errLost is a message that no later attempt can read.
var errLost = errors.New("the message is damaged")

// webhookIn reads a webhook.
func (q *Queue) webhookIn(m jetstream.Msg) (webhook.Target, webhook.Body, error) {
	var t hookTarget
	if m.Headers().Get(headerFormat) != format {
		return webhook.Target{}, nil, errFormat
	}
	if err := json.Unmarshal([]byte(m.Headers().Get(headerHook)), &t); err != nil {
		return webhook.Target{}, nil, errors.Join(errLost, fmt.Errorf("%s: %w", headerHook, err))
	}
	target := webhook.Target{ID: t.ID, URL: t.URL, Header: http.Header{}}
	if t.TraceParent != "" {
		target.Header.Set("Traceparent", t.TraceParent)
	}
	if t.TraceState != "" {
		target.Header.Set("Tracestate", t.TraceState)
	}
	p, err := payloadOf(m.Headers(), m.Data())
	if err != nil {
		return target, nil, errors.Join(errLost, err)
	}
	if !p.inPieces() {
		return target, webhook.Bytes(p.body), nil
	}
	end, err := q.broker.openEnd(q.ctx, placeIn(m.Subject()), p, true)
	if errors.Is(err, errObjectGone) {
		return target, nil, errors.Join(errLost, err)
	}
	if err != nil {
		return target, nil, err
	}
	body, err := end.text()
	return target, body, err
}

// beat tells the broker that deliveries are under way: a receiver may take long.
func (d *deliveries) beat() {
	tick := time.NewTicker(heartbeat(ackWait))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-d.q.ctx.Done():
			return
		}
		d.mu.Lock()
		held := slices.Collect(maps.Values(d.held))
		d.mu.Unlock()
		for _, m := range held {
			_ = m.InProgress() // else it comes again, to somebody
		}
	}
}
