package supervisor

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/runner"
	"github.com/coggo/coggo/internal/schema"
	"github.com/coggo/coggo/internal/spool"
)

// phase is where a worker is in its life.
type phase int

const (
	phaseStarting phase = iota
	phaseReady
	phaseEnding // the process has died or is about to; its last words may still come
	phaseSetupFailed
	phaseDefunct
)

// setupLogBytes bounds the setup logs that health shows.
const setupLogBytes = 1 << 20

// lookForSchema is how often openapi.json is looked for: no signal tells of it, and it can be
// served while setup runs.
const lookForSchema = 25 * time.Millisecond

// bootRoom is the room that the documents of a runner take; healthRoom is what one small answer
// takes.
const (
	bootRoom   = 64 << 10
	healthRoom = 4 << 10
)

// unwritableStatus is the exit status of a runner that could not write its answer.
const unwritableStatus = 74

// worker is one runner process after the other on one directory.
type worker struct {
	s     *Supervisor
	index int
	dir   *spool.Dir
	look  bell // something to read about setup
	gone  bell // a flight has left
	check *checker
	probe atomic.Pointer[probed]

	// guarded by Supervisor.mu
	phase     phase
	process   *runner.Process
	setup     spool.SetupResult
	setupLogs []byte
	why       string             // what keeps it from being ready
	flights   map[string]*flight // that have a slot, by FileID
	abandoned map[string]*flight // that ended, but the process goes on with them, by FileID
	replaced  bool               // the process was killed by us
	died      []string           // the predictions that failed because the process died, by id
	brief     bool               // it runs one prediction at a time, and the last was brief
	turned    chan struct{}      // closed at the next change of phase
	renewed   <-chan struct{}    // closed when the process is to reload the model; nil when that never comes

	crashes []time.Time // within RestartWindow; belongs to the goroutine of keep
}

// endWait is how long a killed process may take to end: to give much memory back takes some
// seconds. One that takes longer hangs in the kernel, usually in the driver of a device, and only a
// restart of the machine or the container helps.
const endWait = 15 * time.Second

// settingUp is why there is no slot yet, also before the first process is started.
const settingUp = "the model is being set up"

func newWorker(s *Supervisor, index int, dir *spool.Dir) *worker {
	return &worker{
		s: s, index: index, dir: dir, why: settingUp,
		look:    newBell(),
		gone:    newBell(),
		check:   newChecker(),
		flights: map[string]*flight{}, abandoned: map[string]*flight{},
		turned: make(chan struct{}),
	}
}

// keep runs one process after the other until the server stops, setup fails or the process dies too
// often; with Reloads until the server stops.
func (w *worker) keep() {
	for again := true; again; again = w.awaitEdition() {
		w.keepEdition()
	}
}

// keepEdition is keep for one edition of the model.
func (w *worker) keepEdition() {
	w.crashes = nil
	delay := backoff.NewExponentialBackOff()
	delay.InitialInterval = 100 * time.Millisecond
	delay.MaxInterval = 10 * time.Second
	worked := false
	for {
		process, err := w.boot()
		switch {
		case err != nil && w.s.ending.Err() != nil:
			w.quit()
			return
		case w.outdated(): // what came of it no longer counts
			w.retire(process)
			return
		case err == nil:
			worked = true
			delay.Reset()
		case !worked || process != nil && !errors.As(err, new(diedInSetup)): // a setup that has worked may have met with an accident
			w.fail(phaseSetupFailed, err)
			return
		}
		if process == nil {
			w.s.Log.Error("no runner could be started, trying again", "runner", w.index, "error", err)
		} else if !w.mayRestart(process) {
			return
		}
		select {
		case <-time.After(delay.NextBackOff()):
		case <-w.renewed:
			return
		case <-w.s.ending.Done(): // boot says so
		}
	}
}

// mayRestart waits for the end of a process and reports whether another one is to follow it.
func (w *worker) mayRestart(process *runner.Process) bool {
	select {
	case <-process.Done():
	case <-w.renewed:
	}
	if w.outdated() {
		w.retire(process)
		return false
	}
	w.bury()
	if w.s.ending.Err() != nil {
		if w.s.stopping.Err() == nil {
			w.s.Log.Warn("runner ended while the server ends", "runner", w.index, "pid", process.PID(), "exit", process.Exit().String())
		}
		w.quit()
		return false
	}
	w.reportGone(process)
	if !w.wasReplaced() && process.Exit().Code != unwritableStatus {
		w.crashes = recent(append(w.crashes, w.s.Now()), w.s.Now().Add(-RestartWindow))
		if len(w.crashes) > w.s.MaxRestarts {
			w.fail(phaseDefunct, fmt.Errorf("the model process died %d times in %s, last by %s", len(w.crashes), RestartWindow, process.Exit()))
			return false
		}
		w.s.Observer.RunnerRestart()
	}
	return true
}

func recent(times []time.Time, since time.Time) []time.Time {
	for len(times) > 0 && times[0].Before(since) {
		times = times[1:]
	}
	return times
}

// diedInSetup is the end of a process before it has said how its setup went.
type diedInSetup struct{ exit runner.Exit }

func (e diedInSetup) Error() string {
	return "the model process ended during setup: " + e.exit.String()
}

// boot starts a process and returns when its model is set up. With a diedInSetup it returns the
// process too.
func (w *worker) boot() (*runner.Process, error) {
	w.prepare()
	process, err := w.spawn()
	if err != nil {
		return nil, err
	}
	result, err := w.awaitSetup(process)
	if err == nil {
		err = w.ready(process, result)
	}
	if err != nil {
		w.end(process, err.Error())
		return process, err
	}
	w.s.OnReady()
	return process, nil
}

// end kills a process, for this reason, and waits until it has ended. The worker is defunct when
// the process does not end; should that end later, another takes its place.
func (w *worker) end(p process, why string) {
	wait := endWait
	if w.s.ending.Err() != nil {
		wait = shutdownEndWait
	}
	p.Kill(why)
	select {
	case <-p.Done():
	case <-time.After(wait):
		w.fail(phaseDefunct, fmt.Errorf("the model process was killed and has not ended for %s: it hangs in the kernel", wait))
	}
}

// prepare clears the directory, and waits until it can be written: without that no setup can
// succeed.
func (w *worker) prepare() {
	for told := false; w.s.ending.Err() == nil; told = true {
		err := w.s.Renew()
		if err == nil {
			err = w.dir.Clear()
		}
		if err == nil {
			err = w.dir.Probe(bootRoom)
		}
		if err == nil {
			return
		}
		err = unwritable(err)
		w.s.mu.Lock()
		w.why = err.Error()
		w.s.mu.Unlock()
		if !told {
			w.s.Log.Error("no runner can start", "runner", w.index, "error", err)
		}
		select {
		case <-time.After(rescan):
		case <-w.s.ending.Done():
		}
	}
}

// unwritable says that the working directory, which is our own affair, can't be written.
func unwritable(err error) error {
	return fmt.Errorf("the working directory can't be written: %w", reasonFor(err))
}

// illegible says that what the model has written, which is there, can't be read.
func illegible(err error) error {
	return fmt.Errorf("what the model has written can't be read: %w", reasonFor(err))
}

// reasonFor is what the kernel said, without the names of files that mean nothing to a client.
func reasonFor(err error) error {
	if number := syscall.Errno(0); errors.As(err, &number) {
		return number
	}
	return err
}

// errEnding is why no runner is started: the server ends.
var errEnding = errors.New("the server is shutting down")

// spawn starts a process, unless the server ends: to set a model up only to end it would take the
// grace period from those who still run. It returns errEnding then.
func (w *worker) spawn() (*runner.Process, error) {
	c := w.s.Runner
	c.SpoolDir = w.dir.Path()
	c.OnGone = w.close
	c.Logs = w.dir.MakeLogs
	c.Env = append(c.Env[:len(c.Env):len(c.Env)], fmt.Sprintf("COGGO_RUNNER_INDEX=%d", w.index))
	if devices := w.devices(); devices != "" {
		c.Env = append(c.Env, "CUDA_VISIBLE_DEVICES="+devices)
	}
	w.s.mu.Lock()
	if w.s.ending.Err() != nil {
		w.s.mu.Unlock()
		return nil, errEnding
	}
	w.turnLocked(phaseStarting)
	w.setup = spool.SetupResult{StartedAt: w.s.Now()}
	edition := w.s.edition
	w.renewed = edition.over
	w.setupLogs, w.why, w.replaced, w.died, w.process = nil, settingUp, false, nil, nil
	w.s.mu.Unlock()
	if edition.broken != nil {
		return nil, edition.broken
	}
	c.Entry = edition.entry
	process, err := runner.Start(c, w.output)
	if err != nil {
		return nil, err
	}
	w.s.mu.Lock()
	w.process = process
	w.s.mu.Unlock()
	w.s.Log.Info("runner started", "runner", w.index, "pid", process.PID())
	return process, nil
}

// devices are the GPUs that this runner is restricted to, empty when it is not.
func (w *worker) devices() string {
	if w.s.Devices == nil {
		return ""
	}
	return w.s.Devices[w.index]
}

// awaitSetup waits for setup-result.json, for the end of the process, or for the time that setup
// may take.
func (w *worker) awaitSetup(process *runner.Process) (spool.SetupResult, error) {
	tick := time.NewTicker(lookForSchema)
	defer tick.Stop()
	var late <-chan time.Time
	if w.s.SetupTimeout > 0 {
		late = time.After(w.s.SetupTimeout)
	}
	schemaRead := false
	for {
		ended := false
		select {
		case <-w.look:
		case <-tick.C:
		case <-process.Done():
			ended = true
		case <-late:
			return spool.SetupResult{}, fmt.Errorf("setup timed out after %s", w.s.SetupTimeout)
		case <-w.renewed:
			return spool.SetupResult{}, errOutdated
		case <-w.s.stopping.Done():
			return spool.SetupResult{}, errEnding
		}
		result, ok, err := w.dir.SetupResult() // before the schema, which the runner writes first: both may come between the two looks
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

// readSchema takes the OpenAPI document as soon as it is there: it can be served while setup runs.
func (w *worker) readSchema() (bool, error) {
	data, ok, err := w.dir.Schema()
	if err != nil || !ok {
		return false, err
	}
	doc, err := schema.Parse(data)
	if err != nil {
		return false, fmt.Errorf("read the model's schema: %w", err)
	}
	doc.LimitFiles(w.s.MaxInputFiles)
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.s.schema == nil || !bytes.Equal(w.s.schema.JSON(), doc.JSON()) { // else what was checked against it need not be again
		w.s.schema = doc
	}
	return true, nil
}

// ready opens the worker for predictions, or returns why setup failed.
func (w *worker) ready(process *runner.Process, result spool.SetupResult) error {
	process.Drain()
	if result.Traceback != "" && !w.s.Runner.Checking { // who checks a model shows it
		w.s.Output(Origin{Runner: w.index, Stream: runner.Stderr, Whole: true}, []byte(result.Traceback))
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.outdated() { // since setup has ended
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
	w.why = ""
	w.turnLocked(phaseReady)
	w.s.dispatchLocked()
	w.s.Observer.SetupSeconds(result.CompletedAt.Sub(result.StartedAt).Seconds())
	w.s.Log.Info("model ready", "runner", w.index, "mode", result.Mode, "concurrency", result.MaxConcurrency,
		"setup", result.CompletedAt.Sub(result.StartedAt))
	return nil
}

// setupError is a failure whose traceback the runner has given already.
type setupError struct{ text string }

func (e setupError) Error() string { return e.text }

// fail ends the worker's life: no process will be started again.
func (w *worker) fail(p phase, err error) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.s.stopping.Err() != nil || w.outdated() && w.process == nil { // the next edition may well do
		return
	}
	w.turnLocked(p)
	w.why = err.Error()
	if p == phaseSetupFailed {
		w.setup.Status = string(prediction.Failed)
		if w.setup.CompletedAt.IsZero() {
			w.setup.CompletedAt = w.s.Now()
		}
		if !errors.As(err, new(setupError)) {
			w.setup.Stage, w.setup.Error = "setup", err.Error()
			if w.s.schema == nil {
				w.setup.Stage = "import"
			}
			w.setupLogs = append(w.setupLogs, "\n"+err.Error()+"\n"...)
		}
	}
	w.s.Log.Error("no runner", "runner", w.index, "error", err)
	w.s.hopelessLocked(err)
}

// quit ends the worker's life because the server ends: who waits for a slot of it gets none,
// unless another worker lives.
func (w *worker) quit() {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.why = shutDown
	w.renewed = nil // nothing is loaded any more, whatever has changed
	w.turnLocked(phaseDefunct)
	w.s.hopelessLocked(ByShutdown)
}

// close lets no prediction in any more: the process has ended. It comes before those that it had
// hear of that, so that who sees one of them ended is not told READY.
func (w *worker) close() {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.process = nil
	if !w.replaced && !w.outdated() { // else it says why
		w.why = "the model process died and is being started again"
	}
	w.turnLocked(phaseEnding)
}

// bury waits until the predictions of a dead process have ended: nobody may use the directory
// before.
func (w *worker) bury() {
	w.s.mu.Lock()
	w.process = nil
	left := w.abandoned
	w.abandoned = map[string]*flight{}
	w.s.mu.Unlock()
	for w.handedFlights() > 0 {
		<-w.gone
	}
	for _, f := range left {
		w.s.removeFiles(f)
	}
}

// ring tells a synchronous model of a cancel file and reports whether it did. The loop of an async
// one hears of the file itself, and would be woken twice.
func (w *worker) ring(p process) bool {
	w.s.mu.Lock()
	async := w.setup.Mode == "async"
	w.s.mu.Unlock()
	if !async {
		_ = p.Ring() // an error means that the process has ended, which Done says too
	}
	return !async
}

func (w *worker) wasReplaced() bool {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	return w.replaced
}

// turnLocked changes the phase and tells who waits for that.
func (w *worker) turnLocked(p phase) {
	w.phase = p
	w.s.heedLocked()
	close(w.turned)
	w.turned = make(chan struct{})
}

// output receives what the process writes to its standard streams and no prediction has written
// while it ran.
func (w *worker) output(stream string, text []byte) {
	w.s.Output(Origin{Runner: w.index, Stream: stream}, text)
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.phase == phaseStarting && len(w.setupLogs) < setupLogBytes {
		w.setupLogs = append(w.setupLogs, text...)
	}
}
