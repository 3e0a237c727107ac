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

// bootRoom is the disk space that the documents of a runner take. healthRoom is the space of one
// small answer.
const (
	bootRoom   = 64 << 10
	healthRoom = 4 << 10
)

// unwritableStatus is the exit status of a runner that could not write its response.
const unwritableStatus = 74

// worker runs one runner process after another on one directory.
type worker struct {
	s            *Supervisor
	index        int
	dir          *spool.Dir
	setupChanged notifier // there is something to read about setup
	slotFreed    notifier // a flight has left its slot
	check        *checker
	probe        atomic.Pointer[probed]
	changes      *spool.Changes // belongs to the goroutine of watch

	// Guarded by Supervisor.mu:
	process      *runner.Process
	handed       map[string]*flight // by fileID, those that the process runs
	setup        spool.SetupResult
	setupLogs    []byte
	replaced     bool          // the server killed the process
	died         []string      // the predictions that failed because the process died, by id
	wasQuick     bool          // it runs one prediction at a time, and the last was quick
	phaseChanged chan struct{} // closed at the next change of phase
	// Closed when the process has to reload the model; nil if that never happens.
	renewed <-chan struct{}

	crashes []time.Time // within RestartWindow; belongs to the goroutine of keep
}

// endWait is how long a killed process may take to exit: to free a lot of memory takes some
// seconds. A process that takes longer hangs in the kernel, usually in the driver of a device, and
// only a restart of the machine or the container helps.
const endWait = 15 * time.Second

// settingUp is the reason why there is no slot yet, also before the first process is started.
const settingUp = "the model is being set up"

func newWorker(s *Supervisor, index int, dir *spool.Dir) *worker {
	s.pool.Explain(index, settingUp)
	return &worker{
		s: s, index: index, dir: dir,
		setupChanged: newNotifier(),
		slotFreed:    newNotifier(),
		check:        newChecker(),
		changes:      dir.Changes(),
		handed:       map[string]*flight{},
		phaseChanged: make(chan struct{}),
	}
}

// keep runs one process after another until the server stops, setup fails or the process dies too
// often; with Reloads, until the server stops.
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
		// If an earlier setup has worked, a later one may have failed by accident.
		case !worked || process != nil && !errors.As(err, new(diedInSetup)):
			w.fail(pool.PhaseSetupFailed, err)
			return
		}
		if process == nil {
			w.s.config.Log.Error("no runner could be started, trying again",
				"runner", w.index, "error", err)
		} else if !w.mayRestart(process) {
			return
		}
		select {
		case <-time.After(delay.NextBackOff()):
		case <-w.renewed:
			return
		case <-w.s.ending.Done(): // boot returns errEnding then
		}
	}
}

// mayRestart waits for the process to exit, and reports whether another one should follow.
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
			w.s.config.Log.Warn("runner ended while the server ends",
				"runner", w.index, "pid", process.PID(), "exit", process.Exit().String())
		}
		w.quit()
		return false
	}
	w.reportGone(process)
	if !w.wasReplaced() && process.Exit().Code != unwritableStatus {
		now := w.s.config.Now()
		w.crashes = recent(append(w.crashes, now), now.Add(-RestartWindow))
		if len(w.crashes) > w.s.config.MaxRestarts {
			w.fail(pool.PhaseDefunct, fmt.Errorf(
				"the model process died %d times in %s, last by %s",
				len(w.crashes), RestartWindow, process.Exit()))
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

// diedInSetup says that a process exited before it wrote the result of its setup.
type diedInSetup struct{ exit runner.Exit }

func (e diedInSetup) Error() string {
	return "the model process ended during setup: " + e.exit.String()
}

// boot starts a process, and returns when its model is set up. With a diedInSetup it returns the
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

// end kills a process for this reason, and waits until it has exited. If the process does not exit,
// the worker is defunct. If the process exits later, another one takes its place.
func (w *worker) end(p process, why string) {
	wait := endWait
	if w.s.ending.Err() != nil {
		wait = shutdownEndWait
	}
	p.Kill(why)
	select {
	case <-p.Done():
	case <-time.After(wait):
		w.fail(pool.PhaseDefunct, fmt.Errorf(
			"the model process was killed %s ago and has not exited: it hangs in the kernel", wait))
	}
}

// prepare clears the directory, and waits until it can be written, because no setup can succeed
// before.
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
	return fmt.Errorf("a file of the model process can't be read: %w", errnoOnly(err))
}

// errnoOnly returns the error of the kernel, without the names of files, which mean nothing to a
// client.
func errnoOnly(err error) error {
	if number := syscall.Errno(0); errors.As(err, &number) {
		return number
	}
	return err
}

// errEnding says that no runner is started any more.
var errEnding = errors.New(pool.ShuttingDown)

// spawn starts a process. During the shutdown it returns errEnding, because a setup would only take
// the grace period from predictions that still run.
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

// devices returns the GPUs that this runner is restricted to, "" if it is not restricted.
func (w *worker) devices() string {
	if w.s.config.Devices == nil {
		return ""
	}
	return w.s.config.Devices[w.index]
}

// fail ends the worker: it starts no process again.
func (w *worker) fail(p pool.Phase, err error) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	// The next edition may well work.
	if w.s.stopping.Err() != nil || w.outdated() && w.process == nil {
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

// quit ends the worker because the server is ending. Flights that wait for one of its slots fail,
// unless another worker is alive.
func (w *worker) quit() {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.s.pool.Explain(w.index, shutDown)
	w.renewed = nil // nothing is loaded any more, whatever changes
	w.setPhaseLocked(pool.PhaseDefunct)
	w.s.failHopelessLocked(ByShutdown)
}

// close stops admission because the process has exited. It must run before that process's
// predictions are failed: a client that sees one fail must not then read READY from health.
func (w *worker) close() {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.process = nil
	if !w.replaced && !w.outdated() { // otherwise the reason is known
		w.s.pool.Explain(w.index, "the model process died and is being restarted")
	}
	w.setPhaseLocked(pool.PhaseEnding)
}

// awaitFlights returns once the predictions of a dead process have finished. Until then the
// directory must not be used.
func (w *worker) awaitFlights() {
	w.s.mu.Lock()
	w.process = nil
	abandoned := w.s.pool.Reap(w.index)
	for _, f := range abandoned {
		delete(w.handed, f.fileID)
	}
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
		_ = p.Ring() // an error means that the process has exited, which Done tells too
	}
	return !async
}

func (w *worker) wasReplaced() bool {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	return w.replaced
}

// setPhaseLocked changes the phase, and notifies the goroutines that wait for a change.
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

// output receives the text on the standard streams of the process that does not belong to a
// prediction.
func (w *worker) output(stream string, text []byte) {
	w.s.config.Output(Origin{Runner: w.index, Stream: stream}, text)
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.s.pool.Phase(w.index) == pool.PhaseStarting && len(w.setupLogs) < setupLogBytes {
		w.setupLogs = append(w.setupLogs, text...)
	}
}
