package queue

import (
	"runtime"
	"sync"
	"weak"

	"github.com/coggo/coggo/internal/prediction"
)

// sharedEnds are the large ends that somebody reads: readers of one share its memory, and its file.
// Nothing is kept for later: an end goes with its last reader.
type sharedEnds struct {
	mu  sync.Mutex // guards all
	all map[string]*sharedEnd
}

// sharedEnd is one of them.
type sharedEnd struct {
	mu         sync.Mutex // held while the end is read from the broker: others wait for it
	prediction weak.Pointer[prediction.Prediction]
}

// get returns the end with this name, and reads it only if nobody has it.
func (s *sharedEnds) get(
	name string, read func() (*prediction.Prediction, error),
) (*prediction.Prediction, error) {
	s.mu.Lock()
	one := s.all[name]
	if one == nil {
		one = &sharedEnd{}
		if s.all == nil {
			s.all = map[string]*sharedEnd{}
		}
		s.all[name] = one
	}
	s.mu.Unlock()
	one.mu.Lock()
	defer one.mu.Unlock()
	if p := one.prediction.Value(); p != nil {
		return p, nil
	}
	p, err := read()
	if err != nil {
		s.forget(name)
		return nil, err
	}
	one.prediction = weak.Make(p)
	runtime.AddCleanup(p, s.forget, name)
	return p, nil
}

// forget forgets an end. A reader of it at this moment does not notice.
func (s *sharedEnds) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, name)
}
