package supervisor

import (
	"iter"

	"github.com/coggo/coggo/internal/spool"
)

// scan notifies the flights, and the healthcheck, if there may be something to read for them.
func (w *worker) scan() {
	w.check.changed.notify()
	if w.notifyOnly() && !w.changes.Watching() {
		return
	}
	if !w.changes.Read(w.notifyChanged) {
		w.list()
	}
}

// notifyChanged notifies the flights that have new files.
func (w *worker) notifyChanged(all iter.Seq[spool.Change]) {
	var ended []*flight
	w.s.mu.Lock()
	for found := range all {
		f := w.handed[string(found.FileID)]
		if f != nil && w.notifyLocked(f, found.Response) {
			ended = append(ended, f)
		}
	}
	w.s.mu.Unlock()
	w.sweep(ended)
}

// list notifies the flights that have files in the directory, all if it can't be listed.
func (w *worker) list() {
	list, err := w.dir.List()
	if err != nil {
		w.s.config.Log.Error("list the working directory", "error", err)
	}
	var ended []*flight
	w.s.mu.Lock()
	for id, f := range w.handed {
		if response := list.Responses[id]; response || list.Events[id] || err != nil {
			if w.notifyLocked(f, response || err != nil) && response {
				ended = append(ended, f)
			}
		}
	}
	w.s.mu.Unlock()
	w.sweep(ended)
}

// notifyLocked notifies f. It reports whether f is abandoned and the process has ended it after
// all.
func (w *worker) notifyLocked(f *flight, response bool) (ended bool) {
	if f.stage == stageAbandoned {
		return response
	}
	f.notify(response)
	return false
}

// notifyOnly notifies the flight without listing the directory, and reports true, if there is at
// most one.
func (w *worker) notifyOnly() bool {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.s.pool.RunningCount(w.index) > 1 || w.s.pool.AbandonedCount(w.index) > 0 {
		return false
	}
	for f := range w.s.pool.Running(w.index) {
		f.notify(true)
	}
	return true
}

// rescan makes up for lost signals. It reports whether the process has flights.
func (w *worker) rescan() bool {
	w.scan()
	w.s.mu.Lock()
	running, abandoned := w.s.pool.RunningCount(w.index), w.s.pool.AbandonedCount(w.index)
	w.s.mu.Unlock()
	if abandoned > 0 { // a response may have come right before its flight was abandoned
		w.list()
	}
	return running > 0
}

// sweep removes the files of abandoned flights that the process has ended after all. Only then are
// their slots and ids free. A file that the model has put in the place of a response ends nothing.
// A flight may be among them twice: it has no response any more after the first time.
func (w *worker) sweep(ended []*flight) {
	for _, f := range ended {
		if found, err := w.dir.Ended(f.fileID); !found || err != nil {
			continue
		}
		w.s.removeFiles(f)
		w.s.mu.Lock()
		delete(w.handed, f.fileID)
		w.s.grantLocked(w.s.pool.Release(f, w.index)...)
		w.s.mu.Unlock()
	}
}
