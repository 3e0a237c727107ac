// Package webhook delivers webhooks. It keeps one ordered queue for each prediction, so that no
// receiver delays a slot.
package webhook

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coggo/coggo/internal/prediction"
)

// Options configure a Sender.
type Options struct {
	Client    *http.Client
	Throttle  time.Duration // between two partial updates of one prediction; 0: no throttling
	AuthToken string        // sent as Authorization: Bearer to AuthHosts
	AuthHosts []Host        // nil: send it to nobody
	Secret    string        // whsec_ and base64: sign by the Standard Webhooks specification
	UserAgent string
	// Called after each attempt; may be nil.
	Observe func(e prediction.WebhookEvent, attempt int, result string)
	// Called with the reason when a terminal event is given up; may be nil.
	GaveUp func(Undelivered, error)

	// Elsewhere, if set, is called in place of the delivery of a terminal event, which somebody else
	// does, once everything before it has gone out.
	Elsewhere func(Target)

	Attempts  uint          // for the terminal event; 0: 12
	RetryWait time.Duration // before the second attempt, doubling after it; 0: 100 ms
	Timeout   time.Duration // of one attempt; 0: 10 s
	Patience  time.Duration // of the terminal event while an earlier one hangs; 0: 1 s
}

// Sender sends the webhooks of a server. Any goroutine may call its methods.
type Sender struct {
	Options
	client *http.Client
	key    []byte

	queues   sync.WaitGroup
	stopping context.Context // done when even terminal events are given up
	stop     context.CancelFunc

	mu   sync.Mutex // guards left
	left []Undelivered
}

// Undelivered is a terminal event that its receiver has not acknowledged.
type Undelivered struct {
	ID string // of the prediction
	// Of the receiver. The rest of its address may be known to the receiver alone.
	Host     string
	Attempts int
}

// Target is the receiver of one prediction's webhooks.
type Target struct {
	ID     string
	URL    string
	Events []prediction.WebhookEvent // nil: all; empty: none
	Header http.Header               // traceparent and tracestate

	// Trace, if set, starts the trace of one attempt. The header that it returns is sent in place
	// of Header. end is called with the outcome.
	Trace func(e prediction.WebhookEvent, attempt int) (header http.Header, end func(error))
}

func (t Target) wants(e prediction.WebhookEvent) bool {
	return t.Events == nil || slices.Contains(t.Events, e)
}

// NewSender returns a Sender, or an error for an invalid secret.
func NewSender(o Options) (*Sender, error) {
	key, err := parseSecret(o.Secret)
	if err != nil {
		return nil, err
	}
	o.Attempts = orDefault(o.Attempts, 12)
	o.RetryWait = orDefault(o.RetryWait, 100*time.Millisecond)
	o.Timeout = orDefault(o.Timeout, 10*time.Second)
	o.Patience = orDefault(o.Patience, time.Second)
	if o.Observe == nil {
		o.Observe = func(prediction.WebhookEvent, int, string) {}
	}
	if o.GaveUp == nil {
		o.GaveUp = func(Undelivered, error) {}
	}
	s := &Sender{Options: o, key: key}
	client := *o.Client
	client.CheckRedirect = sameMethodOnly
	s.client = &client
	s.stopping, s.stop = context.WithCancel(context.Background())
	return s, nil
}

func orDefault[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// Open starts the queue of one prediction. snapshot renders its current state. It is called when a
// partial update is sent, so that updates that a slow receiver has missed merge into the next one.
func (s *Sender) Open(t Target, snapshot func() Body) *Queue {
	q := &Queue{s: s, target: t, snapshot: snapshot, wake: make(chan struct{}, 1)}
	s.queues.Go(q.run)
	return q
}

// Redeliver sends the terminal event of a prediction of an earlier server.
func (s *Sender) Redeliver(t Target, body Body, onDelivered func()) {
	s.Open(t, nil).Finish(body, onDelivered)
}

// Drain waits until every queue has ended. If ctx is done before that, it gives up the rest without
// calling onDelivered, and returns what is undelivered. It does not wait for predictions that have
// not finished then.
func (s *Sender) Drain(ctx context.Context) []Undelivered {
	done := make(chan struct{})
	go func() {
		s.queues.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		s.stop()
		<-done
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left
}
