package supervisor_test

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/supervisor"
)

// start returns a supervisor with one real runner, which is set up.
func start(t *testing.T, model string) *supervisor.Supervisor {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "predict.py"), []byte(model), 0o600); err != nil {
		t.Fatal(err)
	}
	pythonPath, err := filepath.Abs("../../python")
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{}, 1)
	c := configured(t)
	c.Runner.Python, c.Runner.PythonPath, c.Runner.ModelDir = "python3", pythonPath, dir
	c.OnReady = func() { ready <- struct{}{} }
	s, err := supervisor.New(c)
	if err != nil {
		t.Fatal(err)
	}
	signal.Notify(s.Signals(), syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGHUP)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Drain(t.Context(), context.Background())
		signal.Stop(s.Signals())
	})
	select {
	case <-ready:
	case <-time.After(longest):
		t.Fatal("the model is not set up")
	}
	return s
}

func create(t *testing.T, s *supervisor.Supervisor, body string) *prediction.Prediction {
	t.Helper()
	r, err := prediction.ParseRequest([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	p, created, err := s.Create(r, false)
	if err != nil || !created {
		t.Fatal(created, err)
	}
	return p
}

func ended(t *testing.T, p *prediction.Prediction) prediction.Status {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(longest):
		t.Fatal("it does not end")
	}
	return p.Status()
}

func TestACancelEndsOneRunAndNotTheNextOneOfItsID(t *testing.T) {
	s := start(t, "import time\nclass Predictor:\n    def predict(self, s: float = 0) -> str:\n        time.sleep(s)\n        return 'done'\n")
	first := create(t, s, `{"id": "x"}`)
	if status := ended(t, first); status != prediction.Succeeded {
		t.Fatal(status)
	}
	second := create(t, s, `{"id": "x", "input": {"s": 60}}`)
	var refused *prediction.Error
	if err := s.Cancel(first, supervisor.ByDisconnect); !errors.As(err, &refused) || refused.Code != prediction.NotFound {
		t.Errorf("a cancel of the run that has ended: %v", err)
	}
	if err := s.Cancel(second, supervisor.ByClient); err != nil {
		t.Errorf("a cancel of the run of now: %v", err)
	}
	if status := ended(t, second); status != prediction.Canceled {
		t.Error(status)
	}
}
