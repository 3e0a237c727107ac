package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// throughBroker measures what a prediction of a queue can't do without: a request is stored and
// pulled, and its end is stored and heard. Two connections do nothing else.
func throughBroker(c *contender, n int) (t tally, err error) {
	worker, err := nats.Connect(c.queue.nats())
	if err != nil {
		return t, err
	}
	defer worker.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, err := jetstream.New(c.nc)
	if err != nil {
		return t, err
	}
	for _, stream := range []jetstream.StreamConfig{
		{Name: "asked", Subjects: []string{"asked.*"}, Retention: jetstream.WorkQueuePolicy},
		{
			Name: "ended", Subjects: []string{"ended.*"}, MaxMsgsPerSubject: 1,
			RePublish: &jetstream.RePublish{Source: "ended.*", Destination: "heard.{{wildcard(1)}}"},
		},
	} {
		if _, err := client.CreateOrUpdateStream(ctx, stream); err != nil {
			return t, err
		}
	}
	failed := make(chan error, 1)
	go func() { failed <- answerAll(ctx, worker) }()
	for i := range n {
		began := time.Now()
		if err := throughOnce(ctx, c.nc, client, fmt.Sprintf("%d-%d", began.UnixNano(), i)); err != nil {
			return t, err
		}
		t.took = append(t.took, time.Since(began))
	}
	slices.Sort(t.took)
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		return t, err
	}
	return t, nil
}

// throughOnce stores a request and returns once its end is heard.
func throughOnce(ctx context.Context, nc *nats.Conn, client jetstream.JetStream, id string) error {
	ended := make(chan struct{})
	sub, err := nc.Subscribe("heard."+id, func(*nats.Msg) { close(ended) })
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection may be closed
	if _, err := client.Publish(ctx, "asked."+id, make([]byte, 300), jetstream.WithMsgID(id)); err != nil {
		return err
	}
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// answerAll pulls one request after the other, and stores its end.
func answerAll(ctx context.Context, nc *nats.Conn) error {
	worker, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	consumer, err := worker.CreateConsumer(ctx, "asked", jetstream.ConsumerConfig{
		Durable: "worker", AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		return err
	}
	inbox, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		return err
	}
	pull := "$JS.API.CONSUMER.MSG.NEXT.asked." + consumer.CachedInfo().Name
	for {
		if err := nc.PublishRequest(pull, inbox.Subject, []byte(`{"batch": 1}`)); err != nil {
			return err
		}
		m, err := inbox.NextMsgWithContext(ctx)
		if err != nil {
			return err
		}
		end := "ended." + m.Subject[len("asked."):]
		stored, err := worker.PublishAsync(end, m.Data, jetstream.WithExpectLastSequenceForSubject(0, end))
		if err != nil {
			return err
		}
		go func() {
			<-stored.Ok()
			_, _ = nc.RequestWithContext(ctx, m.Reply, []byte("+ACK")) // the broker ends with the queue
		}()
	}
}
