package supervisor_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/supervisor"
)

// slow is an Observer that holds up each end until it is released.
type slow struct {
	supervisor.Observer
	held    atomic.Int64
	release chan struct{}
}

func (s *slow) PredictionFinished(status string) {
	s.held.Add(1)
	<-s.release
	s.Observer.PredictionFinished(status)
}

func TestWaitingPredictionsThatCannotEndInTimeAreLeftToTheNextServer(t *testing.T) {
	const slots, waiting, atOnce = 2, 60, 32
	observer := &slow{release: make(chan struct{})}
	c := configured(t)
	c.Durable, c.MaxQueue, c.Retain = true, waiting, 2*waiting
	observer.Observer, c.Observer = c.Observer, observer
	f := newFake(t, c)
	f.start()
	f.awaitProcess()
	f.setUp()
	for n := range slots + waiting {
		r := prediction.Request{ID: fmt.Sprintf("p%d", n), Method: prediction.Predict, Detached: true}
		if _, _, err := f.s.Create(r, false); err != nil {
			t.Fatal(err)
		}
	}
	over, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	hurry, hurries := context.WithCancel(t.Context())
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		f.s.Drain(over, hurry)
	}()
	until(t, "they do not end", func() bool { return observer.held.Load() >= atOnce })
	hurries()
	until(t, "none is left", func() bool {
		return strings.Contains(f.log.String(),
			fmt.Sprintf("msg=\"predictions left to the next server\" count=%d\n", waiting-atOnce))
	})
	close(observer.release)
	<-drained
	if got := entries(t, c.WorkingDir, "results"); got != slots+atOnce {
		t.Errorf("%d have a result", got)
	}
	if got := entries(t, c.WorkingDir, "queued"); got != waiting-atOnce {
		t.Errorf("%d are left", got)
	}
	next, err := supervisor.New(c)
	if err != nil {
		t.Fatal(err)
	}
	again := 0
	for n := range slots + waiting {
		p, err := next.Get(fmt.Sprintf("p%d", n))
		if err != nil {
			t.Fatal(err)
		}
		if !p.Status().Terminal() {
			again++
		}
	}
	if again != waiting-atOnce {
		t.Errorf("the next server runs %d", again)
	}
}

// entries counts the entries of a journal.
func entries(t *testing.T, dir, journal string) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, journal, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

func TestACanceledPredictionDoesNotBegin(t *testing.T) {
	f := served(t, func(c *supervisor.Config) { c.CancelGrace = time.Hour })
	p, _, err := f.s.Create(prediction.Request{
		ID: "x", Method: prediction.Predict, CancelAfter: time.Nanosecond,
	}, false)
	if err != nil {
		t.Fatal(err)
	}
	if status := ended(t, p); status != prediction.Canceled {
		t.Error(status)
	}
}
