// Command coggo-server serves one Cog model over HTTP.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/coggo/coggo/internal/host"
	"github.com/coggo/coggo/internal/httpapi"
	"github.com/coggo/coggo/internal/supervisor"
)

// version is set by the linker, from python/cog/__init__.py. Only `make` sets it.
var version = "unknown"

// errDefunct ends a server whose model can't be kept alive.
var errDefunct = errors.New("no model process can be kept alive")

func main() {
	args := slices.Clone(os.Args[1:])
	for i, text := range args {
		args[i] = strings.Clone(text) // a copy, because secrets in the command line are overwritten
	}
	status, err := execute(args)
	if err != nil {
		printError("%v", err)
	}
	os.Exit(status)
}

type serveCommand struct{ Config }

// Run runs the command.
func (c *serveCommand) Run(chosen *kong.Context) error {
	c.HostFrom, c.PortFrom = sourceOf(chosen, "host"), sourceOf(chosen, "port")
	if err := c.complete(); err != nil {
		return err
	}
	return run(c.Config, newConsole())
}

// run serves until it is asked to stop. Its steps are in the order of startup and, backwards, of
// the shutdown.
func run(c Config, console *console) error {
	defer console.neverBlock(c.logsJSON())()
	if !c.without(trickBallast) {
		defer host.Ballast()()
	}
	log := newLogger(c.Logging, console, console.terminal, slog.LevelInfo)
	for _, warning := range c.Warnings {
		log.Warn(warning)
	}
	if err := host.HideSecrets(c.AuthToken, c.RunnerEnv); err != nil {
		return err
	}
	if c.HookToken != "" && c.WebhookAuthHost == nil {
		log.Warn("every webhook receiver that a client names gets WEBHOOK_AUTH_TOKEN; " +
			"name yours with --webhook-auth-host")
	}
	surviveFileSizeLimit()
	open, err := c.listen()
	if err != nil {
		return err
	}
	listener := &httpapi.Listener{Listener: open, StreamTimeout: time.Duration(c.StreamTimeout)}
	if err := c.dropPrivileges(); err != nil {
		_ = listener.Close()
		return err
	}
	dir, err := host.OpenWorkingDir(c.dirConfig(), log)
	if err != nil {
		_ = listener.Close()
		return err
	}
	defer dir.Close()
	output, endOutput := modelOutput(c.Model, c.Runners, console.stdout())
	defer endOutput()
	built, err := build(c, dir, output, c.logsJSON(), log)
	if err != nil {
		_ = listener.Close()
		return dir.Explain(err)
	}
	stop := newStop()
	server := c.server(httpapi.New(built.api(c, stop.ask, log)), log)
	defer watchSignals(built.supervisor, stop, c.AwaitExplicitShutdown, log)()
	serving := make(chan error, 1)
	go func() { serving <- listener.Serve(server) }()
	if c.Reload {
		end, err := watchModel(c, dir, built.supervisor, log)
		if err != nil {
			_ = listener.Close()
			return err
		}
		defer end()
	}
	log.Info("listening", "address", listener.Addr().String(),
		"model", c.ModelDir, "predict", c.Predict, "directory", dir.Path())
	if err := startModel(built.supervisor, stop); err != nil {
		return err
	}
	if built.worker != nil {
		built.worker.Start()
	}
	if console.terminal {
		defer printBanner(console, built.supervisor, c, listener.Addr())()
	}
	err = waitForEnd(
		stop, built.supervisor.Defunct(), built.queueFailed(), serving, c.AwaitExplicitShutdown)
	sayEnd(console, built.supervisor, time.Duration(c.ShutdownGrace), log)
	unmarkReady()
	late := time.Now().Add(time.Duration(c.ShutdownGrace))
	drain(late, built, stop)
	dir.End() // before the port is free, because the next server on it takes the same directory
	closeServer(server, listener, stop, late)
	built.closeQueue(late.Add(flushHooks), stop)
	built.refusals.Close()
	log.Info("stopped")
	return err
}

// surviveFileSizeLimit turns a file that grows past RLIMIT_FSIZE into an error of its write. Go
// ends the process at the signal unless a channel is registered for it.
func surviveFileSizeLimit() { signal.Notify(make(chan os.Signal, 1), syscall.SIGXFSZ) }

// startModel starts the model once $COG_WAIT_FILE allows it. Until then the server listens, and its
// health is STARTING.
func startModel(s *supervisor.Supervisor, stop *stop) error {
	if err := waitForFile(os.Getenv("COG_WAIT_FILE"), stop.asked); err != nil {
		return err
	}
	select {
	case <-stop.asked:
		return nil
	default:
		return s.Start()
	}
}

// dropPrivileges switches to the user of --runner-user. It comes after everything that needs more
// rights: reading tokens, opening the port, and making the user's directories.
func (c Config) dropPrivileges() error {
	if c.RunnerUser == "" {
		return nil
	}
	if c.WorkingDir != "" {
		if err := c.Account.Own(c.WorkingDir); err != nil {
			err = host.ExplainGiven(c.WorkingDir, err, c.Account.UID, c.Account.GID)
			return fmt.Errorf("--runner-user %s: %w", c.RunnerUser, err)
		}
	}
	if err := prepareReady(c.Account); err != nil {
		return fmt.Errorf("--runner-user %s: %w", c.RunnerUser, err)
	}
	return c.Account.Become()
}

// waitForEnd returns when the server has to stop, with an error unless it was asked to.
func waitForEnd(
	stop *stop, defunct <-chan struct{}, queue, serving <-chan error, await bool,
) error {
	if await {
		defunct = nil
	}
	select {
	case <-stop.asked:
		return nil
	case <-defunct:
		return errDefunct
	case err := <-queue:
		return err
	case err := <-serving:
		return fmt.Errorf("serve: %w", err)
	}
}

// tracesWait bounds the export of the last traces. It ends tracesLate after the grace period at the
// latest.
const (
	tracesWait = 2 * time.Second
	tracesLate = 7500 * time.Millisecond
)

// drain ends predictions, webhooks and runners. Predictions may go on until late. A second request
// to stop cuts the waiting short.
func drain(late time.Time, b *built, stop *stop) {
	hurry, cancel := stop.hurry()
	defer cancel()
	grace, cancelGrace := context.WithDeadline(hurry, late)
	defer cancelGrace()
	if b.worker != nil {
		b.worker.Drain(grace)
	}
	b.supervisor.Drain(grace, hurry)
	if b.worker != nil {
		stored, cancelStored := context.WithDeadline(hurry, late.Add(storeEnds))
		b.worker.Finish(stored)
		cancelStored()
	}
	b.gaveUp.Close()
	limit := min(tracesWait, time.Until(late.Add(tracesLate)))
	last, cancelLast := context.WithTimeout(hurry, limit)
	defer cancelLast()
	b.tracer.Close(last)
}

// pauses is how many seconds a client may take nothing of its answer during the shutdown.
// lastAnswers is the time for the last answers when the grace period is over.
const (
	pauses      = 3
	lastAnswers = 300 * time.Millisecond
)

// closeServer lets clients read their answers until late, and then closes their connections.
func closeServer(server *http.Server, listener *httpapi.Listener, stop *stop, late time.Time) {
	for idle := 0; idle < pauses; idle++ {
		taken := listener.Sent()
		wait := max(lastAnswers, min(time.Second, time.Until(late)))
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		err := server.Shutdown(ctx)
		cancel()
		if err == nil {
			return
		}
		if stop.inAHurry() || time.Now().After(late) {
			break
		}
		if listener.Sent() > taken {
			idle = -1
		}
	}
	_ = server.Close()
}

// stop carries requests to end the server. The second one hurries.
type stop struct {
	asked   chan struct{}
	hurried chan struct{}
	wishes  chan struct{}
}

func newStop() *stop {
	s := &stop{
		asked: make(chan struct{}), hurried: make(chan struct{}), wishes: make(chan struct{}, 1),
	}
	go func() {
		<-s.wishes
		close(s.asked)
		<-s.wishes
		close(s.hurried)
	}()
	return s
}

func (s *stop) ask() {
	select {
	case s.wishes <- struct{}{}:
	default:
	}
}

// hurry returns a context that is done at the second request.
func (s *stop) hurry() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-s.hurried:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// inAHurry reports whether there was a second request.
func (s *stop) inAHurry() bool {
	select {
	case <-s.hurried:
		return true
	default:
		return false
	}
}

// watchSignals passes the runners' signals to the supervisor, and the operator's to stop. A
// terminal that hangs up sends SIGHUP too: that only triggers a scan, like the runner's, and does
// no harm.
func watchSignals(s *supervisor.Supervisor, stop *stop, await bool, log *slog.Logger) (end func()) {
	signal.Notify(s.Signals(), syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGHUP)
	unwatch := watchStop(stop, await, log)
	return func() {
		signal.Stop(s.Signals())
		unwatch()
	}
}

// watchStop passes the operator's signals to stop.
func watchStop(stop *stop, await bool, log *slog.Logger) (end func()) {
	leave := make(chan os.Signal, 2)
	// The model's processes would inherit signal.Ignore.
	signal.Notify(leave, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		for got := range leave {
			if await && got == syscall.SIGTERM {
				log.Info("SIGTERM ignored: waiting for POST /shutdown or SIGINT")
				continue
			}
			stop.ask()
		}
	}()
	return func() {
		signal.Stop(leave)
		close(leave)
	}
}
