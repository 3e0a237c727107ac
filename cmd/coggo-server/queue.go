package main

import (
	"context"
	"log/slog"
	"math"
	"time"

	"github.com/coggo/coggo/internal/queue"
	"github.com/coggo/coggo/internal/supervisor"
	"github.com/coggo/coggo/internal/telemetry"
	"github.com/coggo/coggo/internal/webhook"
)

// waitingByDefault is how many predictions of a model may wait in a shared queue.
const waitingByDefault = 10_000

// openQueue connects to the broker in the background, for a worker or for a gateway. hooks delivers
// terminal webhooks.
func (c Serving) openQueue(worker bool, hooks *webhook.Sender, metrics *telemetry.Metrics, log *slog.Logger) (*queue.Queue, error) {
	most := waitingByDefault
	if c.MaxQueue != nil {
		most = *c.MaxQueue
	}
	return queue.Open(queue.Config{
		URL: c.Queue, Creds: c.QueueCreds, CA: c.QueueCA, Replicas: c.QueueReplicas, Worker: worker, Name: c.Name,
		MaxQueue: most, RetainFor: time.Duration(c.RetainFor), History: c.History,
		CheckedAtOnce: 2 * int64(c.MaxBody), CheckWait: time.Duration(c.BodyTimeout),
		Webhooks: hooks, Log: log, Now: time.Now,
		Stored: metrics.Seconds("coggo_queue_publish_seconds", "Time that the queue's broker took to store a message."),
	})
}

// unstoredEnds is how many ends a worker keeps on disk while the broker does not take them. There
// are no more than it has slots, unless an earlier server had more.
const unstoredEnds = 100_000

// shareQueue makes the server a worker of the queue. The broker keeps what is accepted and what has
// ended; the supervisor keeps an end on disk, if there is a directory for it, until the broker has
// it.
func (b *built) shareQueue(c Config, s *supervisor.Config, log *slog.Logger) (err error) {
	if b.queue, err = c.openQueue(true, s.Webhooks, b.metrics, log); err != nil {
		return usage(err)
	}
	b.worker = queue.NewWorker(queue.WorkerConfig{
		Queue: b.queue, MaxAttempts: c.MaxAttempts, Rerun: s.Rerun, Version: version,
		MaxInputFiles: c.MaxInputFiles,
	})
	options := s.Webhooks.Options
	options.Elsewhere = b.worker.Flushed
	if s.Webhooks, err = webhook.NewSender(options); err != nil {
		return usage(err)
	}
	s.Rerun, s.MaxQueue, s.PatientQueue = false, 0, 0
	if s.Retain = 0; s.Durable {
		s.Retain = unstoredEnds
	}
	b.publisher.KeepOpen = rawFiles
	b.uploads = c.uploads(b.queue, c.MaxInputFile)
	s.Fetcher.Store = b.uploads
	b.queueMetrics()
	return nil
}

// queueMetrics adds the metrics of a queue.
func (b *built) queueMetrics() {
	counters := b.queue.Counters()
	for name, counter := range map[string]struct {
		help  string
		value func() int64
	}{
		"coggo_queue_redelivered_total": {"Messages that came again because their worker was silent.", counters.Redelivered.Load},
		"coggo_queue_taken_over_total":  {"Predictions whose worker was lost and that this one has taken over.", counters.TakenOver.Load},
		"coggo_queue_fenced_total":      {"Ends that were refused because another worker has taken over.", counters.Fenced.Load},
		"coggo_queue_returned_total":    {"Predictions that were handed back to the queue.", counters.Returned.Load},
	} {
		b.metrics.Counter(name, counter.help, func() float64 { return float64(counter.value()) })
	}
	b.metrics.Gauge("coggo_queue_connected", "Whether there is a connection to the queue's broker: 1 or 0.", func() float64 {
		if b.queue.Connected() {
			return 1
		}
		return 0
	})
	b.metrics.ByModel(queueGauges, func() map[string][]float64 {
		values := map[string][]float64{}
		for _, s := range b.queue.Each(context.Background()) {
			oldest := s.Oldest.Seconds()
			if s.Oldest < 0 {
				oldest = math.NaN()
			}
			values[s.Model] = []float64{
				float64(s.Waiting), float64(s.Running), oldest, float64(s.Workers), float64(s.Slots),
				float64(s.Stuck),
			}
		}
		return values
	})
}

// queueGauges are the metrics of each model on the queue.
var queueGauges = []telemetry.Family{
	{Name: "coggo_queue_waiting", Help: "Predictions that no worker has."},
	{Name: "coggo_queue_running", Help: "Predictions that a worker has."},
	{Name: "coggo_queue_oldest_seconds", Help: "How long the first of those that no worker has had has waited."},
	{Name: "coggo_queue_workers", Help: "Workers that take predictions."},
	{Name: "coggo_queue_slots", Help: "Predictions that these workers run at once."},
	{Name: "coggo_queue_stuck", Help: "Predictions that the broker did not give out, when this process looked last."},
}

// uploads are the files of /v1/files, which all servers of a queue share.
func (c Serving) uploads(q *queue.Queue, largest size) *queue.Uploads {
	return &queue.Uploads{
		Queue: q, MaxBytes: int64(largest), MaxTotal: int64(c.MaxUploads), Keep: uploadsKeep,
	}
}

// rawFiles is the size from which a worker keeps an output file as it is until the broker has it.
// Smaller ones are data URLs in the output at once: a part of an object costs more than they do.
const rawFiles = 64 << 10
