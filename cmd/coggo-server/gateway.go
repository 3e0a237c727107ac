package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"github.com/coggo/coggo/internal/host"
	"github.com/coggo/coggo/internal/httpapi"
	"github.com/coggo/coggo/internal/telemetry"
)

type gatewayCommand struct {
	Logging
	Network
	Serving

	MaxInputFile size `group:"Limits:" default:"8GiB" help:"Largest file that can be uploaded to /v1/files."`
}

// Help stands below the flags.
func (c *gatewayCommand) Help() string {
	return `A gateway has no model and no state: any number of them serve the predictions of the workers on a queue, which are
servers with the same --queue. It checks inputs by the schema that workers have published, even while no worker runs.`
}

// Run is the command.
func (c *gatewayCommand) Run(chosen *kong.Context) error {
	c.HostFrom, c.PortFrom = sourceOf(chosen, "host"), sourceOf(chosen, "port")
	if err := errors.Join(c.Logging.check(), c.Serving.read()); err != nil {
		return usage(err)
	}
	if c.Queue == "" {
		return usage(errors.New("a gateway needs --queue, the address of the broker that the workers use"))
	}
	return c.run(newConsole())
}

// run serves until it is told to stop.
func (c *gatewayCommand) run(console *console) error {
	defer console.neverBlock(c.logsJSON())()
	log := newLogger(c.Logging, console, console.terminal, slog.LevelInfo)
	if err := host.HideSecrets(c.AuthToken, nil); err != nil {
		return err
	}
	open, err := c.listen()
	if err != nil {
		return err
	}
	listener := &httpapi.Listener{Listener: open, StreamTimeout: time.Duration(c.StreamTimeout)}
	built, err := c.build(log)
	if err != nil {
		_ = listener.Close()
		return err
	}
	stop := newStop()
	api := built.front(c.Serving, stop.ask, log)
	api.Queue = built.queue.Look
	api.Supervisor, api.Store = built.queue, c.uploads(built.queue, c.MaxInputFile)
	api.Model, api.Shared = c.Name, true
	server := c.server(httpapi.New(api), log)
	defer watchStop(stop, c.AwaitExplicitShutdown, log)()
	serving := make(chan error, 1)
	go func() { serving <- listener.Serve(server) }()
	log.Info("listening", "address", listener.Addr().String(), "gateway", cmp.Or(c.Name, "every model"))
	err = waitForEnd(stop, nil, built.queue.Failed(), serving, c.AwaitExplicitShutdown)
	log.Info("shutting down", "grace", time.Duration(c.ShutdownGrace))
	late := time.Now().Add(time.Duration(c.ShutdownGrace))
	built.queue.Drain()
	closeServer(server, listener, stop, late)
	built.closeQueue(late.Add(flushHooks), stop)
	built.gaveUp.Close()
	built.refusals.Close()
	log.Info("stopped")
	return err
}

// build wires a gateway.
func (c *gatewayCommand) build(log *slog.Logger) (*built, error) {
	b := &built{metrics: telemetry.NewMetrics(version), refusals: httpapi.NewRefusals(log)}
	agent := cmp.Or(os.Getenv("COG_USER_AGENT"), "coggo/"+version)
	hooks, err := b.webhooks(c.Serving, c.Network, agent, log)
	if err != nil {
		return nil, usage(err)
	}
	if b.queue, err = c.openQueue(false, hooks, b.metrics, log); err != nil {
		return nil, usage(err)
	}
	b.queueMetrics()
	return b, nil
}

// server is the HTTP server of a handler.
func (c Serving) server(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: time.Duration(c.HeaderTimeout),
		IdleTimeout:       time.Duration(c.IdleTimeout),
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          quietLog(log),
	}
}

// storeEnds is how long after the grace period the ends of predictions are stored in the queue. A
// prediction whose end is not stored by then runs again elsewhere.
const storeEnds = 8 * time.Second

// flushHooks is how long after the grace period webhooks that are being delivered may go on. Other
// processes deliver the rest.
const flushHooks = 2 * time.Second

// queueFailed receives why the broker can't carry a queue; nil without one.
func (b *built) queueFailed() <-chan error {
	if b.queue == nil {
		return nil
	}
	return b.queue.Failed()
}

// closeQueue ends the part in the queue: webhooks under way are delivered until late has come.
func (b *built) closeQueue(late time.Time, stop *stop) {
	if b.queue == nil {
		return
	}
	hurry, cancel := stop.hurry()
	defer cancel()
	ctx, cancelLate := context.WithDeadline(hurry, late)
	defer cancelLate()
	b.queue.Close(ctx)
}
