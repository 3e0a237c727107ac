package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/coggo/coggo/internal/files"
	"github.com/coggo/coggo/internal/host"
	"github.com/coggo/coggo/internal/httpapi"
	"github.com/coggo/coggo/internal/outbound"
	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/queue"
	"github.com/coggo/coggo/internal/runner"
	"github.com/coggo/coggo/internal/runner/orphan"
	"github.com/coggo/coggo/internal/supervisor"
	"github.com/coggo/coggo/internal/telemetry"
	"github.com/coggo/coggo/internal/webhook"
)

// built is the server without its listener.
type built struct {
	supervisor *supervisor.Supervisor
	metrics    *telemetry.Metrics
	store      *files.Store
	publisher  *files.Publisher
	tracer     *telemetry.Tracer
	gaveUp     *telemetry.Tally
	refusals   *httpapi.Refusals
	queue      *queue.Queue  // nil if the server is alone
	worker     *queue.Worker // of the queue
	uploads    *queue.Uploads
}

// build wires the packages together, and starts nothing. output gets the output of the model. apart
// says whether its two streams stay apart.
func build(
	c Config, dir *host.WorkingDir, output func(supervisor.Origin, []byte), apart bool,
	log *slog.Logger,
) (*built, error) {
	b := &built{metrics: telemetry.NewMetrics(version), refusals: httpapi.NewRefusals(log)}
	agent := cmp.Or(os.Getenv("COG_USER_AGENT"), "coggo/"+version)
	client := outbound.NewClient(outbound.Options{DenyPrivate: c.DenyPrivateNetworks})
	hooks, err := b.webhooks(c.Serving, c.Network, agent, log)
	if err != nil {
		return nil, usage(err)
	}
	b.store = &files.Store{
		Dir:      filepath.Join(dir.Path(), "uploads"),
		MaxBytes: int64(c.MaxInputFile), MaxTotal: int64(c.MaxUploads),
		Keep: uploadsKeep, Now: time.Now, NewID: prediction.NewID,
	}
	b.publisher = &files.Publisher{
		Client: client, UserAgent: agent, UploadURL: c.UploadURL,
		MaxBytes: int64(c.MaxOutputFile), KeepOpen: keepOpen,
	}
	// The collector belongs to the operator, so it may be in a private network.
	collector := outbound.NewClient(outbound.Options{})
	if b.tracer, err = telemetry.NewTracer(version, collector, log); err != nil {
		log.Warn("no traces", "error", err)
	}
	s := c.supervision()
	s.Fetcher = &files.Fetcher{
		Client: client, UserAgent: agent, MaxBytes: int64(c.MaxInputFile), Store: b.store,
	}
	s.Publisher, s.Webhooks, s.Observer, s.Tracer = b.publisher, hooks, b.metrics, b.tracer
	s.WorkingDir, s.Renew, s.Inputs, s.Durable = dir.Path(), dir.Renew, dir.InputDir, dir.Durable()
	s.Output, s.OnReady, s.Log, s.Now = output, b.onReady(c, log), log, time.Now
	if s.Devices, err = host.RunnerDevices(c.RunnerDevices, c.Runners); err != nil {
		return nil, usage(err)
	}
	s.Runner.Apart, s.Runner.Mark = apart, orphan.Own(dir.Path())
	if s.Runner.PythonPath, err = host.PythonPath(c.Python, dir.Path()); err != nil {
		return nil, err
	}
	if c.Queue != "" {
		if err := b.shareQueue(c, &s, log); err != nil {
			return nil, err
		}
	}
	if b.supervisor, err = supervisor.New(s); err != nil {
		return nil, err
	}
	if b.worker != nil {
		b.worker.Supervisor = b.supervisor
	}
	b.gauges()
	return b, nil
}

// webhooks makes the sender of webhooks.
func (b *built) webhooks(
	c Serving, n Network, agent string, log *slog.Logger,
) (*webhook.Sender, error) {
	b.gaveUp = telemetry.NewTally(func(count int, over time.Duration) {
		log.Warn("more webhooks given up", "count", count, "period", over)
	})
	return webhook.NewSender(webhook.Options{
		Client: outbound.NewClient(outbound.Options{
			DenyPrivate: n.DenyPrivateNetworks, MaxConns: webhookConns,
		}),
		Throttle:  throttle(os.Getenv("COG_THROTTLE_RESPONSE_INTERVAL")),
		AuthToken: c.HookToken,
		AuthHosts: c.WebhookHosts,
		Secret:    c.WebhookSecret,
		UserAgent: agent,
		Observe: func(e prediction.WebhookEvent, attempt int, result string) {
			b.metrics.Webhook(string(e), attempt, result)
		},
		GaveUp: func(left webhook.Undelivered, reason error) {
			if b.gaveUp.Tell() {
				log.Warn("webhook given up",
					"id", left.ID, "host", left.Host, "attempts", left.Attempts, "error", reason)
			}
		},
	})
}

// onReady is called each time the model is set up.
func (b *built) onReady(c Config, log *slog.Logger) func() {
	mark, warn := markReady(log), logExamples(c.ModelDir, log)
	return func() {
		mark()
		document, _ := b.supervisor.Schema()
		warn(document)
		if b.worker != nil {
			b.worker.Ready()
		}
		if !c.KeepBootMemory {
			time.AfterFunc(bootIsOver, func() { host.ReleaseBootMemory(!c.without(trickUnmap)) })
		}
	}
}

// supervision returns the part of the supervisor's configuration that comes from settings.
func (c Config) supervision() supervisor.Config {
	maxQueue, patientQueue := c.queue()
	return supervisor.Config{
		Runner: runner.Config{
			Entry: c.entry(), Python: c.Python, ModelDir: c.ModelDir, Env: c.modelEnv(),
			Checking: c.Checking, BusyPoll: busyPoll(c),
		},
		Runners:        c.Runners,
		Rerun:          c.Recover == "rerun",
		SetupTimeout:   time.Duration(c.SetupTimeout),
		CancelGrace:    time.Duration(c.CancelGrace),
		PredictTimeout: time.Duration(c.PredictTimeout),
		MaxRestarts:    c.MaxRestarts,
		Reloads:        c.Reload,
		ReloadGrace:    time.Duration(c.ShutdownGrace),
		MaxQueue:       maxQueue,
		PatientQueue:   patientQueue,
		MaxFetching:    c.MaxFetching,
		Retain:         c.Retain,
		RetainFor:      time.Duration(c.RetainFor),
		RetainBytes:    retainBytes,
		MaxInputFiles:  c.MaxInputFiles,
		MaxOutput:      int64(c.MaxOutput),
		CheckedAtOnce:  2 * int64(c.MaxBody),
		CheckWait:      time.Duration(c.BodyTimeout),
		Limits:         prediction.Limits{LogBytes: int(c.MaxLogBytes), History: c.History},
		HearAll:        c.without(trickSigmute),
	}
}

// gauges adds the metrics that the supervisor computes.
func (b *built) gauges() {
	s := b.supervisor
	for name, gauge := range map[string]struct {
		help  string
		value func() int
	}{
		"coggo_predictions_in_flight": {
			"Predictions that have not ended, waiting ones included.", s.InFlight,
		},
		"coggo_predictions_queued": {"Predictions that wait for a slot.", s.Waiting},
		"coggo_predictions_fetching": {
			"Predictions whose input files are being fetched.", s.Fetching,
		},
		"coggo_slots": {
			"Predictions that can run at once; 0 until the model is set up.", s.Slots,
		},
	} {
		b.metrics.Gauge(name, gauge.help, func() float64 { return float64(gauge.value()) })
	}
}

// api returns the configuration of the HTTP side.
func (b *built) api(c Config, shutdown func(), log *slog.Logger) httpapi.Config {
	api := b.front(c.Serving, shutdown, log)
	api.Supervisor = httpapi.OneModel{One: b.supervisor, Name: c.Name, Since: time.Now()}
	api.Store, api.ModelDir, api.Model = b.store, c.ModelDir, c.Name
	if b.queue != nil {
		api.Queue = b.queue.Look
		api.Supervisor, api.Store, api.Shared = queue.API{Queue: b.queue, Worker: b.worker}, b.uploads, true
	}
	return api
}

// front returns the part of it that does not depend on a model.
func (b *built) front(c Serving, shutdown func(), log *slog.Logger) httpapi.Config {
	return httpapi.Config{
		Shutdown: shutdown, Version: version,
		Metrics: b.metrics.Handler(), Bytes: b.metrics.Bytes, Rejected: b.metrics.Rejected,
		Refusals: b.refusals,
		MaxBody:  int64(c.MaxBody), BodyTimeout: time.Duration(c.BodyTimeout),
		KeepAlive: time.Duration(c.StreamKeepAlive),
		AuthToken: c.AuthToken, CORSOrigins: c.CORSOrigin, AllowedHosts: c.AllowedHost,
		PathPrefix: c.PathPrefix,
		AccessLog:  c.AccessLog, Log: log, EarlyWatch: c.without(trickDisconnect),
	}
}

// busyPoll returns 0 if a process that polls would take the processor from the process that it
// waits for.
func busyPoll(c Config) time.Duration {
	if runtime.GOMAXPROCS(0) < 2*c.Runners { // GOMAXPROCS knows the container's limit too
		return 0
	}
	return time.Duration(c.BusyPoll)
}

// bootIsOver is how long after setup the server returns the memory that only its startup needed.
const bootIsOver = 500 * time.Millisecond

// webhookConns bounds the connections to one receiver, because thousands of predictions often have
// the same one.
const webhookConns = 64

// uploadsKeep is how long an uploaded file can be used as an input.
const uploadsKeep = 24 * time.Hour

// keepOpen is the size from which an output file stays on disk until its data URL is written.
const keepOpen = 1 << 20

// retainBytes bounds the memory of finished predictions that are kept for GET.
const retainBytes = 256 << 20

// throttle returns the time between two partial webhooks.
func throttle(text string) time.Duration {
	if interval, ok := inSeconds(text); ok {
		return interval
	}
	return 500 * time.Millisecond
}

// readyFile tells Kubernetes that setup has succeeded. Its path is Cog's convention.
const readyFile = "/var/run/cog/ready"

// prepareReady lets an account write readyFile.
func prepareReady(a host.Account) error {
	if os.Getenv("KUBERNETES_SERVICE_HOST") == "" {
		return nil
	}
	_ = os.Remove(readyFile) // of an earlier server in the same container
	if err := os.MkdirAll(filepath.Dir(readyFile), 0o755); err != nil {
		return err
	}
	return os.Chown(filepath.Dir(readyFile), a.UID, a.GID)
}

func markReady(log *slog.Logger) func() {
	if os.Getenv("KUBERNETES_SERVICE_HOST") == "" {
		return func() {}
	}
	unmarkReady() // of an earlier server in the same container
	return func() {
		err := os.MkdirAll(filepath.Dir(readyFile), 0o755)
		if err == nil {
			err = os.WriteFile(readyFile, nil, 0o644)
		}
		if err != nil {
			log.Warn("the container can't be marked as ready: probe /readyz instead of the file",
				"error", err)
		}
	}
}

// unmarkReady removes the file of markReady, because this server accepts no more predictions.
func unmarkReady() {
	if os.Getenv("KUBERNETES_SERVICE_HOST") != "" {
		_ = os.Remove(readyFile) // it may never have existed
	}
}

// waitForFile waits until path exists, or until stop is closed. It does not wait if path is "".
func waitForFile(path string, stop <-chan struct{}) error {
	if path == "" {
		return nil
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(path); err == nil {
			return nil
		} else if !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("wait for $COG_WAIT_FILE: %w", err)
		}
		select {
		case <-tick.C:
		case <-stop:
			return nil
		}
	}
}
