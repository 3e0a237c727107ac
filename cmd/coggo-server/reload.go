package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"

	"github.com/coggo/coggo/internal/host"
	"github.com/coggo/coggo/internal/pool"
	"github.com/coggo/coggo/internal/runner"
	"github.com/coggo/coggo/internal/supervisor"
	"github.com/coggo/coggo/internal/watch"
)

// reloader reloads the model when its files have changed.
type reloader struct {
	given      Model // from flags and environment; cog.yaml is read at each change
	supervisor *supervisor.Supervisor
	log        *slog.Logger
}

// watchModel starts to watch for changes. The caller must call end.
func watchModel(
	c Config, dir *host.WorkingDir, s *supervisor.Supervisor, log *slog.Logger,
) (end func(), err error) {
	tree, err := watch.Open(c.ModelDir, dir.Path(), os.TempDir())
	if err != nil {
		return nil, fmt.Errorf("--reload: %w", err)
	}
	r := reloader{c.Given, s, log}
	stop := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		tree.Run(stop, r.changed, func(err error) {
			log.Error("changes are not seen", "error", err)
		})
	})
	return func() {
		close(stop)
		ended.Wait()
		tree.Close()
	}, nil
}

// changed reloads the model if one of the changes may matter to it.
func (r reloader) changed(changes []watch.Change) {
	var names []string
	for _, c := range changes {
		if r.matters(c) {
			names = append(names, c.Path)
		}
	}
	if len(names) == 0 {
		return
	}
	r.log.Info("reloading the model", "changed", inBrief(names, 10))
	m := r.given
	err := m.complete()
	for _, warning := range m.Warnings {
		r.log.Warn(warning)
	}
	why := "the model is being reloaded, because " + inBrief(names, 2) +
		" changed; try again when /health-check says READY"
	r.supervisor.Reload(m.entry(), err, why)
}

// matters reports whether a change is the author's and may make a difference. A new file makes none
// to a model that was loaded without it, but it may help a model that could not be loaded. The
// model itself may have written a file that is not code, or code with the same contents.
func (r reloader) matters(c watch.Change) bool {
	switch {
	case c.Kind == watch.Added:
		status := r.supervisor.Status()
		if status != pool.SetupFailed && status != pool.Defunct {
			return false
		}
		ended := r.supervisor.Health(context.Background()).Setup.CompletedAt
		return c.At.After(ended.Add(-supervisor.ClockTick))
	case c.Code() && !c.Same:
		return true
	case c.Kind == watch.Removed:
		return false
	case r.supervisor.AtWork(c.At):
		r.log.Info("a change is taken for the model's own, because it was at work: "+
			"save the file again to reload the model", "file", c.Path)
		return false
	}
	return true
}

// inBrief names up to room files, and counts the others.
func inBrief(names []string, room int) string {
	if len(names) <= room {
		return strings.Join(names, ", ")
	}
	named := room - 1
	return fmt.Sprintf("%s and %d other files", strings.Join(names[:named], ", "), len(names)-named)
}

// entry returns the parts of the model to load.
func (m *Model) entry() runner.Entry {
	return runner.Entry{
		Predict: m.Predict, Named: m.Named, Train: m.Train,
		MaxConcurrency: m.MaxConcurrency, Packages: m.Packages,
	}
}
