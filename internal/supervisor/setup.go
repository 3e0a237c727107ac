package supervisor

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/runner"
	"github.com/coggo/coggo/internal/schema"
	"github.com/coggo/coggo/internal/spool"
)

// How a worker waits for the setup of its process.

// lookForSchema is how often the worker looks for openapi.json, because no signal announces it and
// it can be served while setup runs.
const lookForSchema = 25 * time.Millisecond

// awaitSetup waits for setup-result.json, for the exit of the process, or for the time limit of
// setup.
func (w *worker) awaitSetup(process *runner.Process) (spool.SetupResult, error) {
	tick := time.NewTicker(lookForSchema)
	defer tick.Stop()
	var late <-chan time.Time
	if w.s.config.SetupTimeout > 0 {
		late = time.After(w.s.config.SetupTimeout)
	}
	schemaRead := false
	for {
		ended := false
		select {
		case <-w.setupChanged:
		case <-tick.C:
		case <-process.Done():
			ended = true
		case <-late:
			err := fmt.Errorf("setup timed out after %s", w.s.config.SetupTimeout)
			return spool.SetupResult{}, err
		case <-w.renewed:
			return spool.SetupResult{}, errOutdated
		case <-w.s.stopping.Done():
			return spool.SetupResult{}, errEnding
		}
		// Before the schema, because the runner writes the schema first and both may come between
		// the two looks.
		result, ok, err := w.dir.SetupResult()
		if !schemaRead {
			var bad error
			if schemaRead, bad = w.readSchema(); bad != nil {
				return spool.SetupResult{}, bad
			}
			if schemaRead {
				tick.Reset(rescan)
			}
		}
		if ok || err != nil {
			return result, err
		}
		if ended {
			return result, diedInSetup{process.Exit()}
		}
	}
}

// readSchema takes the OpenAPI document as soon as it exists, because it can be served while setup
// runs.
func (w *worker) readSchema() (bool, error) {
	data, ok, err := w.dir.Schema()
	if err != nil || !ok {
		return false, err
	}
	doc, err := schema.Parse(data)
	if err != nil {
		return false, fmt.Errorf("read the model's schema: %w", err)
	}
	doc.LimitFiles(w.s.config.MaxInputFiles)
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	// If the document is the same, inputs that were checked against it stay valid.
	if w.s.schema == nil || !bytes.Equal(w.s.schema.JSON(), doc.JSON()) {
		w.s.schema = doc
	}
	return true, nil
}

// ready opens the worker for predictions, or returns why setup failed.
func (w *worker) ready(process *runner.Process, result spool.SetupResult) error {
	process.Drain()
	if result.Traceback != "" && !w.s.config.Runner.Checking { // coggo-server check shows it itself
		origin := Origin{Runner: w.index, Stream: runner.Stderr, Whole: true}
		w.s.config.Output(origin, []byte(result.Traceback))
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.outdated() { // since the end of setup
		return errOutdated
	}
	w.setup = result
	if result.Status != string(prediction.Succeeded) {
		if result.Traceback != "" {
			w.setupLogs = append(w.setupLogs, result.Traceback...)
		}
		return setupError{result.Error}
	}
	if w.s.schema == nil {
		return errors.New("the runner wrote no openapi.json")
	}
	grants := w.s.pool.SetReady(w.index, result.MaxConcurrency)
	w.announcePhaseLocked()
	w.s.grantLocked(grants...)
	w.s.config.Observer.SetupSeconds(result.CompletedAt.Sub(result.StartedAt).Seconds())
	w.s.config.Log.Info("model ready",
		"runner", w.index, "mode", result.Mode, "concurrency", result.MaxConcurrency,
		"setup", result.CompletedAt.Sub(result.StartedAt))
	return nil
}

// setupError is a failure whose traceback the runner has already given.
type setupError struct{ text string }

func (e setupError) Error() string { return e.text }
