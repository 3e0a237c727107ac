package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// contender is what a column of the table is about: one server alone, or a queue.
type contender struct {
	*site
	nc *nats.Conn // to the broker of the queue
}

// sharedFlags are those of all servers.
var sharedFlags = []string{"--log-level", "error", "--max-queue", "1000000"}

// startAlone starts a server without a queue.
func startAlone(binary string, o sharedOptions) (*server, error) {
	alone := system{name: "coggo", path: "/predictions", ready: saysReady, command: coggo(binary)}
	return alone.start(o.class, options{concurrency: o.concurrency, flags: strings.Join(sharedFlags, " ")})
}

// start starts the queue of a contender and connects to its broker.
func (c *contender) start(workers int) (err error) {
	if err := c.startQueue(workers); err != nil {
		return err
	}
	c.nc, err = nats.Connect(c.queue.nats())
	return err
}

func (c *contender) stop() {
	if c.nc != nil {
		c.nc.Close()
	}
	c.site.stop()
}

// brokerMemory returns the resident memory of the broker in KiB.
func (c *contender) brokerMemory() int { return field(c.roots()[:1], "status", "VmRSS") }

// left returns how many predictions have not ended. It asks the broker.
func (c *contender) left() (int, error) {
	m, err := c.nc.Request("$JS.API.STREAM.INFO.COGGO_Q", nil, 5*time.Second)
	if err != nil {
		return 0, err
	}
	var info struct {
		State struct{ Messages int }
	}
	err = json.Unmarshal(m.Data, &info)
	return info.State.Messages, err
}

// purge takes everything off the queue.
func (c *contender) purge() error {
	_, err := c.nc.Request("$JS.API.STREAM.PURGE.COGGO_Q", nil, 30*time.Second)
	return err
}

// loseWorker kills the worker that runs a prediction, and returns the seconds until another one has
// claimed it.
func (c *contender) loseWorker() (float64, error) {
	claims := make(chan *nats.Msg, 16)
	sub, err := c.nc.ChanSubscribe("coggo.s.>", claims)
	if err != nil {
		return 0, err
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection may be closed
	nextID++
	path := fmt.Sprintf("/predictions/bench%d", nextID)
	if _, err := c.send("PUT", path, `{"input": {"seconds": 60}}`, "Prefer", "respond-async"); err != nil {
		return 0, err
	}
	if err := awaitClaim(claims, "1"); err != nil {
		return 0, err
	}
	for i, cmd := range c.queue.workers {
		w := c.queue.server(worker(i), cmd, saysReady)
		if n, err := w.inFlight(); err != nil || n == 0 {
			continue
		}
		began := time.Now()
		c.queue.crash(i)
		err := awaitClaim(claims, "2")
		late := time.Since(began).Seconds()
		_, canceled := c.send("POST", path+"/cancel", "")
		started := c.queue.startWorker(i)
		if started == nil {
			started = w.await(5*time.Millisecond, time.Minute)
		}
		return late, errors.Join(err, canceled, started)
	}
	return 0, errors.New("no worker runs the prediction")
}

// awaitClaim waits for the claim with this number.
func awaitClaim(claims <-chan *nats.Msg, attempt string) error {
	late := time.After(time.Minute)
	for {
		select {
		case m := <-claims:
			if m.Header.Get("Coggo-State") == "claimed" && m.Header.Get("Coggo-Attempt") == attempt {
				return nil
			}
		case <-late:
			return errors.New("nobody has claimed the prediction for a minute")
		}
	}
}
