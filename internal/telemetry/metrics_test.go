package telemetry_test

import (
	"net/http/httptest"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/coggo/coggo/internal/telemetry"
)

func TestMetricsAreReadByPrometheus(t *testing.T) {
	m := telemetry.NewMetrics("1.2.3")
	m.Gauge("coggo_predictions_in_flight", "Predictions under way.", func() float64 { return 4 })
	m.PredictionFinished("succeeded")
	m.PredictionRan(0.5, 0.001)
	m.PredictionFinished("failed")
	m.PredictionRan(2, 0)
	m.Rejected("busy")
	m.SetupSeconds(3)
	m.RunnerRestart()
	m.Webhook("completed", 1, "failed")
	m.Webhook("completed", 2, "delivered")
	m.Bytes(10, 20)

	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{
		"coggo_predictions_total": 2, "coggo_predictions_rejected_total": 1, "coggo_predict_seconds": 2, "coggo_queue_seconds": 2,
		"coggo_setup_seconds": 1, "coggo_webhook_deliveries_total": 2, "coggo_webhook_retries_total": 1, "coggo_runner_restarts_total": 1,
		"coggo_http_bytes_total": 30, "coggo_build_info": 1, "coggo_predictions_in_flight": 4,
	} {
		family := families[name]
		if family == nil {
			t.Errorf("no %s", name)
			continue
		}
		var sum float64
		for _, metric := range family.Metric {
			sum += metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
		if sum != want {
			t.Errorf("%s = %v, want %v", name, sum, want)
		}
	}
}
