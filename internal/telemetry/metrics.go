// Package telemetry is the view of operators: metrics for Prometheus, and traces by OTLP.
package telemetry

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the metrics of the server. Names and units follow
// https://prometheus.io/docs/practices/naming.
type Metrics struct {
	registry    *prometheus.Registry
	predictions *prometheus.CounterVec
	rejected    *prometheus.CounterVec
	predict     prometheus.Histogram
	queue       prometheus.Histogram
	setup       prometheus.Histogram
	deliveries  *prometheus.CounterVec
	retries     prometheus.Counter
	restarts    prometheus.Counter
	bytes       *prometheus.CounterVec
	in, out     prometheus.Counter // of bytes: looked up once, because every exchange uses them
}

// seconds are the bounds of the histograms: a no-op takes a millisecond, a video an hour.
var seconds = []float64{
	.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600,
}

// NewMetrics returns metrics with their own registry.
func NewMetrics(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		predictions: counters("coggo_predictions_total",
			"Predictions that ended, by their final status.", "status"),
		rejected: counters("coggo_predictions_rejected_total",
			"Predictions that were refused, by reason.", "reason"),
		predict: histogram("coggo_predict_seconds", "Time that predictions ran."),
		queue: histogram("coggo_queue_seconds",
			"Time between the acceptance of a prediction and its start."),
		setup: histogram("coggo_setup_seconds",
			"Time that loading and setup of the model took."),
		deliveries: counters("coggo_webhook_deliveries_total",
			"Webhook requests, by event and result.", "event", "result"),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "coggo_webhook_retries_total",
			Help: "Webhook requests after the first for the same event.",
		}),
		restarts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "coggo_runner_restarts_total",
			Help: "Runner processes that died and were restarted.",
		}),
		bytes: counters("coggo_http_bytes_total",
			"Bytes of HTTP bodies, by direction.", "direction"),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "coggo_build_info", Help: "Always 1; the labels say which build this is.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	info.Set(1)
	m.in, m.out = m.bytes.WithLabelValues("in"), m.bytes.WithLabelValues("out")
	// Counters start at zero, because a rate needs a first value to rise from.
	for _, status := range []string{"succeeded", "failed", "canceled"} {
		m.predictions.WithLabelValues(status)
	}
	for _, reason := range []string{"busy", "queue_full", "not_ready", "draining", "invalid"} {
		m.rejected.WithLabelValues(reason)
	}
	for _, result := range []string{"delivered", "failed"} {
		m.deliveries.WithLabelValues("completed", result)
	}
	m.registry.MustRegister(
		m.predictions, m.rejected, m.predict, m.queue, m.setup,
		m.deliveries, m.retries, m.restarts, m.bytes, info,
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewGoCollector(),
	)
	return m
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func histogram(name, help string) prometheus.Histogram {
	return prometheus.NewHistogram(
		prometheus.HistogramOpts{Name: name, Help: help, Buckets: seconds})
}

// Handler serves the metrics in Prometheus' text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Gauge registers a metric with the value that f returns at each scrape.
func (m *Metrics) Gauge(name, help string, f func() float64) {
	gauge := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f)
	m.registry.MustRegister(gauge)
}

// Counter registers a metric that only grows, with the value that f returns at each scrape.
func (m *Metrics) Counter(name, help string, f func() float64) {
	counter := prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, f)
	m.registry.MustRegister(counter)
}

// Seconds registers a histogram of durations, and returns what records one.
func (m *Metrics) Seconds(name, help string) func(time.Duration) {
	h := histogram(name, help)
	m.registry.MustRegister(h)
	return func(d time.Duration) { h.Observe(d.Seconds()) }
}

// Family is a gauge that has a value for each model.
type Family struct{ Name, Help string }

// ByModel registers gauges with the label model. look is called once for each scrape, and returns
// the values of each model in the order of families.
func (m *Metrics) ByModel(families []Family, look func() map[string][]float64) {
	c := byModel{look: look}
	for _, f := range families {
		c.families = append(c.families, prometheus.NewDesc(f.Name, f.Help, []string{"model"}, nil))
	}
	m.registry.MustRegister(c)
}

type byModel struct {
	families []*prometheus.Desc
	look     func() map[string][]float64
}

// Describe is of prometheus.Collector.
func (c byModel) Describe(to chan<- *prometheus.Desc) {
	for _, f := range c.families {
		to <- f
	}
}

// Collect is of prometheus.Collector.
func (c byModel) Collect(to chan<- prometheus.Metric) {
	for model, values := range c.look() {
		for i, value := range values {
			to <- prometheus.MustNewConstMetric(c.families[i], prometheus.GaugeValue, value, model)
		}
	}
}

// PredictionFinished counts a finished prediction.
func (m *Metrics) PredictionFinished(status string) { m.predictions.WithLabelValues(status).Inc() }

// PredictionRan records how many seconds a prediction ran, and how many it had waited before.
func (m *Metrics) PredictionRan(ran, waited float64) {
	m.predict.Observe(ran)
	m.queue.Observe(waited)
}

// Rejected counts a refusal.
func (m *Metrics) Rejected(reason string) { m.rejected.WithLabelValues(reason).Inc() }

// SetupSeconds records the duration of a setup.
func (m *Metrics) SetupSeconds(s float64) { m.setup.Observe(s) }

// RunnerRestart counts a runner that died and is restarted.
func (m *Metrics) RunnerRestart() { m.restarts.Inc() }

// Webhook counts one attempt to deliver an event.
func (m *Metrics) Webhook(event string, attempt int, result string) {
	m.deliveries.WithLabelValues(event, result).Inc()
	if attempt > 1 {
		m.retries.Inc()
	}
}

// Bytes counts the bodies of one HTTP exchange.
func (m *Metrics) Bytes(in, out int64) {
	m.in.Add(float64(in))
	m.out.Add(float64(out))
}
