package main

import (
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
}

// build wires the rooms together; the model's own words go to output, told apart by their streams
// or not. Nothing is started.
func build(c Config, dir *host.WorkingDir, output func(supervisor.Origin, []byte), apart bool, log *slog.Logger) (*built, error) {
	client := outbound.NewClient(outbound.Options{DenyPrivate: c.DenyPrivateNetworks})
	metrics := telemetry.NewMetrics(version)
	agent := first(os.Getenv("COG_USER_AGENT"), "coggo/"+version)
	gaveUp := &telemetry.Tally{Most: gaveUpTold, Period: gaveUpPeriod, More: func(count int, over time.Duration) {
		log.Warn("more webhooks given up", "count", count, "period", over)
	}}
	hooks, err := webhook.NewSender(webhook.Options{
		Client:    outbound.NewClient(outbound.Options{DenyPrivate: c.DenyPrivateNetworks, MaxConns: webhookConns}),
		Throttle:  throttle(os.Getenv("COG_THROTTLE_RESPONSE_INTERVAL")),
		AuthToken: c.HookToken,
		AuthHosts: c.WebhookHosts,
		Secret:    c.WebhookSecret,
		UserAgent: agent,
		Observe: func(e prediction.WebhookEvent, attempt int, result string) {
			metrics.Webhook(string(e), attempt, result)
		},
		GaveUp: func(left webhook.Undelivered, reason error) {
			if gaveUp.Tell() {
				log.Warn("webhook given up", "id", left.ID, "host", left.Host, "attempts", left.Attempts, "error", reason)
			}
		},
	})
	if err != nil {
		return nil, usage(err)
	}
	store := &files.Store{
		Dir: filepath.Join(dir.Path(), "uploads"), MaxBytes: int64(c.MaxInputFile), MaxTotal: int64(c.MaxUploads), Keep: uploadsKeep, Now: time.Now, NewID: prediction.NewID,
	}
	// The collector is the operator's own, so it may well be in a private network.
	tracer, err := telemetry.NewTracer(version, outbound.NewClient(outbound.Options{}), log)
	if err != nil {
		log.Warn("no traces", "error", err)
	}
	publisher := &files.Publisher{Client: client, UserAgent: agent, UploadURL: c.UploadURL, MaxBytes: int64(c.MaxOutputFile), KeepOpen: keepOpen}
	path, err := host.PythonPath(c.Python, dir.Path())
	if err != nil {
		return nil, err
	}
	mark := markReady(log)
	var s *supervisor.Supervisor
	warn := logExamples(c.ModelDir, log)
	ready := func() {
		mark()
		document, _ := s.Schema()
		warn(document)
		if !c.KeepBootMemory {
			time.AfterFunc(bootIsOver, func() { host.ReleaseBootMemory(!c.without(trickUnmap)) })
		}
	}
	devices, err := host.RunnerDevices(c.RunnerDevices, c.Runners)
	if err != nil {
		return nil, usage(err)
	}
	maxQueue, patientQueue := c.queue()
	s, err = supervisor.New(supervisor.Config{
		Runner: runner.Config{
			Entry: c.entry(), Python: c.Python, PythonPath: path, ModelDir: c.ModelDir, Checking: c.Checking, Env: c.modelEnv(),
			BusyPoll: busyPoll(c),
			Apart:    apart,
			Mark:     orphan.Own(dir.Path()),
		},
		Runners:    c.Runners,
		Devices:    devices,
		WorkingDir: dir.Path(), Renew: dir.Renew, Inputs: dir.InputDir, Durable: dir.Durable(), Rerun: c.Recover == "rerun",
		SetupTimeout: time.Duration(c.SetupTimeout), CancelGrace: time.Duration(c.CancelGrace), PredictTimeout: time.Duration(c.PredictTimeout),
		MaxRestarts: c.MaxRestarts, Reloads: c.Reload, ReloadGrace: time.Duration(c.ShutdownGrace), MaxQueue: maxQueue, PatientQueue: patientQueue, MaxFetching: c.MaxFetching,
		HearAll: c.without(trickSigmute), Retain: c.Retain, RetainFor: time.Duration(c.RetainFor), RetainBytes: retainBytes,
		MaxInputFiles: c.MaxInputFiles, MaxOutput: int64(c.MaxOutput),
		CheckedAtOnce: 2 * int64(c.MaxBody), CheckWait: time.Duration(c.BodyTimeout),
		Limits:    prediction.Limits{LogBytes: int(c.MaxLogBytes), History: c.History},
		Fetcher:   &files.Fetcher{Client: client, UserAgent: agent, MaxBytes: int64(c.MaxInputFile), Store: store},
		Publisher: publisher,
		Webhooks:  hooks, Observer: metrics, Tracer: tracer, OnReady: ready, Output: output, Log: log, Now: time.Now,
	})
	if err != nil {
		return nil, err
	}
	for name, gauge := range map[string]struct {
		help  string
		value func() int
	}{
		"coggo_predictions_in_flight": {"Predictions that have not ended, waiting ones included.", s.InFlight},
		"coggo_predictions_queued":    {"Predictions that wait for a slot.", s.Waiting},
		"coggo_predictions_fetching":  {"Predictions whose input files are being fetched.", s.Fetching},
		"coggo_slots":                 {"Predictions that can run at once; 0 until the model is set up.", s.Slots},
	} {
		metrics.Gauge(name, gauge.help, func() float64 { return float64(gauge.value()) })
	}
	return &built{supervisor: s, metrics: metrics, store: store, publisher: publisher, tracer: tracer, gaveUp: gaveUp, refusals: httpapi.NewRefusals(log)}, nil
}

// api is the configuration of the HTTP side.
func (b *built) api(c Config, shutdown func(), log *slog.Logger) httpapi.Config {
	return httpapi.Config{
		Supervisor: b.supervisor, Shutdown: shutdown, Metrics: b.metrics.Handler(), Bytes: b.metrics.Bytes, Rejected: b.metrics.Rejected, Refusals: b.refusals, Version: version,
		Started: time.Now(),
		Store:   b.store, ModelDir: c.ModelDir, Model: "coggo/" + filepath.Base(c.ModelDir),
		MaxBody: int64(c.MaxBody), BodyTimeout: time.Duration(c.BodyTimeout), AuthToken: c.AuthToken, CORSOrigins: c.CORSOrigin, AllowedHosts: c.AllowedHost, PathPrefix: c.PathPrefix, AccessLog: c.AccessLog, Log: log,
		KeepAlive: time.Duration(c.StreamKeepAlive), EarlyWatch: c.without(trickDisconnect),
	}
}

// busyPoll is zero where the process that polls would keep the one it waits for from running.
func busyPoll(c Config) time.Duration {
	if runtime.GOMAXPROCS(0) < 2*c.Runners { // which knows of the container's limit too
		return 0
	}
	return time.Duration(c.BusyPoll)
}

// bootIsOver is how long after setup the server gives back what only its boot needed.
const bootIsOver = 500 * time.Millisecond

// A receiver that refuses everything gets gaveUpTold lines in each gaveUpPeriod, and one that
// counts the rest.
const (
	gaveUpTold   = 100
	gaveUpPeriod = time.Minute
)

// webhookConns bounds the connections to one receiver: thousands of predictions often have the
// same.
const webhookConns = 64

// uploadsKeep is how long an uploaded file can be named as an input.
const uploadsKeep = 24 * time.Hour

// keepOpen is the size from which an output file stays on disk until its data URL is written.
const keepOpen = 1 << 20

// retainBytes bounds the memory of finished predictions that are kept for GET.
const retainBytes = 256 << 20

// throttle is the time between two partial webhooks.
func throttle(text string) time.Duration {
	if interval, ok := inSeconds(text); ok {
		return interval
	}
	return 500 * time.Millisecond
}

// readyFile tells Kubernetes that setup has succeeded, at the path that Cog made a convention.
const readyFile = "/var/run/cog/ready"

// prepareReady lets an account write there.
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
			log.Warn("the container can't be marked as ready: probe /readyz instead of the file", "error", err)
		}
	}
}

// unmarkReady takes the mark of markReady away: this server takes no more predictions.
func unmarkReady() {
	if os.Getenv("KUBERNETES_SERVICE_HOST") != "" {
		_ = os.Remove(readyFile) // it may never have been there
	}
}

// waitForFile holds the start until path exists, or until stop is closed; empty holds nothing.
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
