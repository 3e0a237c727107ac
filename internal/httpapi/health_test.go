package httpapi_test

import (
	"testing"
	"time"

	"github.com/coggo/coggo/internal/pool"
	"github.com/coggo/coggo/internal/supervisor"
)

func TestTheServerIsReadyWhileItAcceptsPredictions(t *testing.T) {
	for name, test := range map[string]struct {
		health supervisor.Health
		status int
		retry  string
		detail any
	}{
		"starting":  {supervisor.Health{Summary: supervisor.Summary{Status: pool.Starting}, RetryAfter: 3 * time.Second}, 503, "3", nil},
		"ready":     {supervisor.Health{Summary: supervisor.Summary{Status: pool.Ready}}, 200, "", nil},
		"busy":      {supervisor.Health{Summary: supervisor.Summary{Status: pool.Busy}}, 200, "", nil},
		"failed":    {supervisor.Health{Summary: supervisor.Summary{Status: pool.SetupFailed}}, 503, "", nil},
		"defunct":   {supervisor.Health{Summary: supervisor.Summary{Status: pool.Defunct}}, 503, "", nil},
		"unhealthy": {supervisor.Health{Summary: supervisor.Summary{Status: pool.Unhealthy, Unhealthy: "no GPU"}}, 503, "", "no GPU"},
		"draining":  {supervisor.Health{Summary: supervisor.Summary{Status: pool.Ready, Draining: true}}, 503, "", pool.ShuttingDown},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t, nil)
			a.model.health = test.health
			w := a.ask("GET", "/readyz", "")
			body := object(t, w.Body.Bytes())
			if w.Code != test.status || w.Header().Get("Retry-After") != test.retry || body["status"] != string(test.health.Status) || body["detail"] != test.detail {
				t.Errorf("got %d, Retry-After %q, %s", w.Code, w.Header().Get("Retry-After"), w.Body)
			}
			for _, path := range []string{"/health-check", "/livez"} {
				if w := a.ask("GET", path, ""); w.Code != 200 {
					t.Errorf("%s: %d", path, w.Code)
				}
			}
		})
	}
}

// The server caches the answer until the health changes.
func TestACachedHealthAnswerChangesWithTheHealth(t *testing.T) {
	a := newAPI(t, nil)
	for _, current := range []int{0, 1, 1, 0} {
		a.model.health.Current = current
		slots := object(t, a.ask("GET", "/health-check", "").Body.Bytes())["concurrency"].(map[string]any)
		if slots["current"] != float64(current) || slots["max"] != 1.0 {
			t.Errorf("with %d: %v", current, slots)
		}
	}
	a.model.health.Runners = []supervisor.RunnerHealth{{Status: pool.Ready, PID: 7, Devices: "0", Max: 1}}
	runners, _ := object(t, a.ask("GET", "/health-check", "").Body.Bytes())["runners"].([]any)
	if len(runners) != 1 || runners[0].(map[string]any)["pid"] != 7.0 {
		t.Errorf("runners are %v", runners)
	}
}

func TestShutdownIsAnsweredFirst(t *testing.T) {
	a := newAPI(t, nil)
	if w := a.ask("POST", "/shutdown", ""); w.Code != 200 || w.Body.String() != "{}" || !a.shutDown {
		t.Errorf("got %d %s, shut down %v", w.Code, w.Body, a.shutDown)
	}
}
