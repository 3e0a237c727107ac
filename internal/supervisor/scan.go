package supervisor

import "github.com/coggo/coggo/internal/spool"

// scan notifies the flights, and the healthcheck, if there may be something to read for them.
func (w *worker) scan() {
	w.check.news.notify()
	if w.notifyOnly() {
		return
	}
	list, err := w.dir.List()
	if err != nil {
		w.s.config.Log.Error("list the working directory", "error", err)
		return
	}
	for _, f := range w.notifyListed(list) {
		w.sweep(f)
	}
}

// notifyListed notifies the flights that have files in list. It returns the abandoned flights that
// the process has ended after all.
func (w *worker) notifyListed(list spool.Listing) (ended []*flight) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	for f := range w.s.pool.Running(w.index) {
		if list.Responses[f.fileID] || list.Events[f.fileID] {
			f.notify(!list.Responses[f.fileID])
		}
	}
	for f := range w.s.pool.Abandoned(w.index) {
		if list.Responses[f.fileID] {
			ended = append(ended, f)
		}
	}
	return ended
}

// notifyOnly notifies the flight without listing the directory, and reports true, if there is at
// most one.
func (w *worker) notifyOnly() bool {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	all := w.s.pool.RunningCount(w.index)
	if all > 1 {
		return false
	}
	for range w.s.pool.Abandoned(w.index) {
		return false
	}
	for f := range w.s.pool.Running(w.index) {
		f.notify(false)
	}
	return true
}

// sweep removes the files of an abandoned flight that the process has ended after all. Only then
// are its slot and its id free.
func (w *worker) sweep(f *flight) {
	w.s.removeFiles(f)
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.s.grantLocked(w.s.pool.Settle(f, w.index)...)
}
