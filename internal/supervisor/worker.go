package supervisor

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/coggo/coggo/internal/pool"
	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/runner"
	"github.com/coggo/coggo/internal/spool"
)

// setupLogBytes bounds the setup logs that health shows.
const setupLogBytes = 1 << 20

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
	s         *Supervisor
	index     int
	dir       *spool.Dir
	setupNews notifier // there is something to read about setup
	slotFreed notifier // a flight has left its slot
	check     *checker
	probe     atomic.Pointer[probed]

	// guarded by Supervisor.mu
	process      *runner.Process
	setup        spool.SetupResult
	setupLogs    []byte
	replaced     bool            // the server killed the process
	died         []string        // the predictions that failed because the process died, by id
	wasQuick     bool            // it runs one prediction at a time, and the last was quick
	phaseChanged chan struct{}   // closed at the next change of phase
	renewed      <-chan struct{} // closed when the process has to reload the model; nil if that never happens

	crashes []time.Time // within RestartWindow; belongs to the goroutine of keep
}

// endWait is how long a killed process may take to end: to give much memory back takes some
// seconds. One that takes longer hangs in the kernel, usually in the driver of a device, and only a
// restart of the machine or the container helps.
const endWait = 15 * time.Second

// settingUp is why there is no slot yet, also before the first process is started.
const settingUp = "the model is being set up"

func newWorker(s *Supervisor, index int, dir *spool.Dir) *worker {
	s.pool.Explain(index, settingUp)
	return &worker{
		s: s, index: index, dir: dir,
		setupNews:    newNotifier(),
		slotFreed:    newNotifier(),
		check:        newChecker(),
		phaseChanged: make(chan struct{}),
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
		case w.outdated(): // its outcome no longer counts
			w.retire(process)
			return
		case err == nil:
			worked = true
			delay.Reset()
		case !worked || process != nil && !errors.As(err, new(diedInSetup)): // a setup that has worked may have met with an accident
			w.fail(pool.PhaseSetupFailed, err)
			return
		}
		if process == nil {
			w.s.config.Log.Error("no runner could be started, trying again", "runner", w.index, "error", err)
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

// mayRestart waits for the process to exit and reports whether another one should follow it.
func (w *worker) mayRestart(process *runner.Process) bool {
	select {
	case <-process.Done():
	case <-w.renewed:
	}
	if w.outdated() {
		w.retire(process)
		return false
	}
	w.awaitFlights()
	if w.s.ending.Err() != nil {
		if w.s.stopping.Err() == nil {
			w.s.config.Log.Warn("runner ended while the server ends", "runner", w.index, "pid", process.PID(), "exit", process.Exit().String())
		}
		w.quit()
		return false
	}
	w.reportGone(process)
	if !w.wasReplaced() && process.Exit().Code != unwritableStatus {
		w.crashes = recent(append(w.crashes, w.s.config.Now()), w.s.config.Now().Add(-RestartWindow))
		if len(w.crashes) > w.s.config.MaxRestarts {
			w.fail(pool.PhaseDefunct, fmt.Errorf("the model process died %d times in %s, last by %s", len(w.crashes), RestartWindow, process.Exit()))
			return false
		}
		w.s.config.Observer.RunnerRestart()
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
	w.s.config.OnReady()
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
		w.fail(pool.PhaseDefunct, fmt.Errorf("the model process was killed and has not ended for %s: it hangs in the kernel", wait))
	}
}

// prepare clears the directory, and waits until it can be written: without that no setup can
// succeed.
func (w *worker) prepare() {
	for told := false; w.s.ending.Err() == nil; told = true {
		err := w.s.config.Renew()
		if err == nil {
			err = w.dir.Clear()
		}
		if err == nil {
			err = w.dir.Probe(bootRoom)
		}
		if err == nil {
			return
		}
		err = unwritableError(err)
		w.s.mu.Lock()
		w.s.pool.Explain(w.index, err.Error())
		w.s.mu.Unlock()
		if !told {
			w.s.config.Log.Error("no runner can start", "runner", w.index, "error", err)
		}
		select {
		case <-time.After(rescan):
		case <-w.s.ending.Done():
		}
	}
}

// unwritableError says that the working directory can't be written.
func unwritableError(err error) error {
	return fmt.Errorf("the working directory can't be written: %w", errnoOnly(err))
}

// unreadableError says that a file that the model wrote can't be read.
func unreadableError(err error) error {
	return fmt.Errorf("what the model has written can't be read: %w", errnoOnly(err))
}

// errnoOnly is the error of the kernel, without the names of files that mean nothing to a client.
func errnoOnly(err error) error {
	if number := syscall.Errno(0); errors.As(err, &number) {
		return number
	}
	return err
}

// errEnding says that no runner is started any more.
var errEnding = errors.New(pool.ShuttingDown)

// spawn starts a process, unless the server ends: to set a model up only to end it would take the
// grace period from those who still run. It returns errEnding then.
func (w *worker) spawn() (*runner.Process, error) {
	c := w.s.config.Runner
	c.SpoolDir = w.dir.Path()
	c.OnGone = w.close
	c.Logs = w.dir.MakeLogs
	c.Env = append(slices.Clip(c.Env), fmt.Sprintf("COGGO_RUNNER_INDEX=%d", w.index))
	if devices := w.devices(); devices != "" {
		c.Env = append(c.Env, "CUDA_VISIBLE_DEVICES="+devices)
	}
	w.s.mu.Lock()
	if w.s.ending.Err() != nil {
		w.s.mu.Unlock()
		return nil, errEnding
	}
	w.setup = spool.SetupResult{StartedAt: w.s.config.Now()}
	w.setPhaseLocked(pool.PhaseStarting)
	w.s.pool.Explain(w.index, settingUp)
	edition := w.s.edition
	w.renewed = edition.over
	w.setupLogs, w.replaced, w.died, w.process = nil, false, nil, nil
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
	w.s.config.Log.Info("runner started", "runner", w.index, "pid", process.PID())
	return process, nil
}

// devices are the GPUs that this runner is restricted to, empty when it is not.
func (w *worker) devices() string {
	if w.s.config.Devices == nil {
		return ""
	}
	return w.s.config.Devices[w.index]
}

// fail ends the worker's life: no process will be started again.
func (w *worker) fail(p pool.Phase, err error) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.s.stopping.Err() != nil || w.outdated() && w.process == nil { // the next edition may well do
		return
	}
	w.setPhaseLocked(p)
	w.s.pool.Explain(w.index, err.Error())
	if p == pool.PhaseSetupFailed {
		w.setup.Status = string(prediction.Failed)
		if w.setup.CompletedAt.IsZero() {
			w.setup.CompletedAt = w.s.config.Now()
		}
		if !errors.As(err, new(setupError)) {
			w.setup.Stage, w.setup.Error = "setup", err.Error()
			if w.s.schema == nil {
				w.setup.Stage = "import"
			}
			w.setupLogs = append(w.setupLogs, "\n"+err.Error()+"\n"...)
		}
	}
	w.s.config.Log.Error("no runner", "runner", w.index, "error", err)
	w.s.failHopelessLocked(err)
}

// quit ends the worker's life because the server ends. Flights that wait for one of its slots fail,
// unless another worker is alive.
func (w *worker) quit() {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.s.pool.Explain(w.index, shutDown)
	w.renewed = nil // nothing is loaded any more, whatever has changed
	w.setPhaseLocked(pool.PhaseDefunct)
	w.s.failHopelessLocked(ByShutdown)
}

// close stops admission because the process has exited. It must run before that process's
// predictions are failed: a client that sees one fail must not then read READY from health.
func (w *worker) close() {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.process = nil
	if !w.replaced && !w.outdated() { // else the reason is known
		w.s.pool.Explain(w.index, "the model process died and is being started again")
	}
	w.setPhaseLocked(pool.PhaseEnding)
}

// awaitFlights returns once the predictions of a dead process have finished. Until then the
// directory must not be used.
func (w *worker) awaitFlights() {
	w.s.mu.Lock()
	w.process = nil
	abandoned := w.s.pool.Reap(w.index)
	w.s.mu.Unlock()
	for w.handedFlights() > 0 {
		<-w.slotFreed
	}
	for _, f := range abandoned {
		w.s.removeFiles(f)
	}
}

// ring rings the doorbell of a cancel file for a synchronous model, and reports whether it did. The
// loop of an async model sees the file itself, and would be woken twice.
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

// setPhaseLocked changes the phase and notifies the goroutines that wait for that.
func (w *worker) setPhaseLocked(p pool.Phase) {
	var started time.Time
	if p == pool.PhaseStarting && w.setup.CompletedAt.IsZero() {
		started = w.setup.StartedAt
	}
	w.s.pool.SetPhase(w.index, p, started)
	w.announcePhaseLocked()
}

func (w *worker) announcePhaseLocked() {
	w.s.updateSignalMaskLocked()
	close(w.phaseChanged)
	w.phaseChanged = make(chan struct{})
}

// output receives what the process writes to its standard streams and no prediction has written
// while it ran.
func (w *worker) output(stream string, text []byte) {
	w.s.config.Output(Origin{Runner: w.index, Stream: stream}, text)
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.s.pool.Phase(w.index) == pool.PhaseStarting && len(w.setupLogs) < setupLogBytes {
		w.setupLogs = append(w.setupLogs, text...)
	}
}
