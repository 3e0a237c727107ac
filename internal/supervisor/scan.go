package supervisor

import "github.com/coggo/coggo/internal/spool"

// scan wakes those for whom there may be something to read.
func (w *worker) scan() {
	w.check.look.poke()
	if w.pokeOnly() {
		return
	}
	list, err := w.dir.List()
	if err != nil {
		w.s.Log.Error("look at the working directory", "error", err)
		return
	}
	for _, f := range w.tell(list) {
		w.sweep(f)
	}
}

// tell wakes the predictions that list says something of, and returns the abandoned ones that have
// ended after all.
func (w *worker) tell(list spool.Listing) (ended []*flight) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	for id, f := range w.flights {
		if list.Responses[id] || list.Events[id] {
			f.news(!list.Responses[id])
		}
	}
	for id, f := range w.abandoned {
		if list.Responses[id] {
			ended = append(ended, f)
		}
	}
	return ended
}

// pokeOnly spares the look at the directory when there is at most one prediction that can have
// news.
func (w *worker) pokeOnly() bool {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if len(w.abandoned) > 0 || len(w.flights) > 1 {
		return false
	}
	for _, f := range w.flights {
		f.news(false)
	}
	return true
}

// sweep removes the files of an abandoned prediction that has ended after all, and only then lets
// its slot and its id be used again.
func (w *worker) sweep(f *flight) {
	w.s.removeFiles(f)
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	delete(w.abandoned, spool.FileID(f.id()))
	w.s.dispatchLocked()
}
