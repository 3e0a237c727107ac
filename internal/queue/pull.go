package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// puller asks the broker for one message at a time. None is fetched in advance: it would lie in a
// busy worker while another one is free.
type puller struct {
	w     *Worker
	inbox *nats.Subscription
	asked bool // a request is under way
}

// pullFor is how long one request for a message waits in the broker, and pullBeat how often the
// broker says that it still does.
const (
	pullFor  = 30 * time.Second
	pullBeat = 5 * time.Second
)

// next returns the next message, or nil if the broker had no message to give.
func (p *puller) next() *nats.Msg {
	if p.inbox == nil || !p.inbox.IsValid() {
		inbox, err := p.w.q.broker.nc.SubscribeSync(p.w.q.broker.nc.NewInbox())
		if err != nil {
			p.pause()
			return nil
		}
		p.inbox, p.asked = inbox, false
	}
	if !p.asked {
		name := token(p.w.q.config.Name)
		request := fmt.Sprintf(`{"batch":1,"expires":%d,"idle_heartbeat":%d}`, pullFor, pullBeat)
		subject := "$JS.API.CONSUMER.MSG.NEXT." + askedStream + "." + name
		err := p.w.q.broker.nc.PublishRequest(subject, p.inbox.Subject, []byte(request))
		if err != nil {
			p.pause()
			return nil
		}
		p.asked = true
	}
	p.w.mu.Lock()
	asking := p.w.asking
	p.w.mu.Unlock()
	for {
		ctx, cancel := context.WithTimeout(asking, 2*pullBeat)
		m, err := p.inbox.NextMsgWithContext(ctx)
		cancel()
		if err != nil { // the broker is silent, or the connection was closed or made again, or the worker stops
			p.close()
			return nil
		}
		switch m.Header.Get("Status") {
		case "":
			p.asked = false
			return m
		case "100": // a heartbeat
		case "404", "408": // nothing came in time
			p.asked = false
			return nil
		default: // the consumer has gone or moved, or there is no broker for it now
			p.close()
			p.pause()
			return nil
		}
	}
}

// askAgain starts all pulls again: a broker that was restarted has forgotten them, and a worker
// would wait for its heartbeats in vain.
func (w *Worker) askAgain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopAsks()
	w.asking, w.stopAsks = context.WithCancel(w.pulling)
}

// close withdraws the request: the broker sends nothing to an inbox that nobody reads.
func (p *puller) close() {
	if p.inbox != nil {
		_ = p.inbox.Unsubscribe() // the connection may be closed
		p.inbox, p.asked = nil, false
	}
}

func (p *puller) pause() {
	select {
	case <-time.After(200 * time.Millisecond):
	case <-p.w.pulling.Done():
	}
}
