package main

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// workload is one row of the table: the same work for each system that can do it.
type workload struct {
	name   string
	unit   string
	higher bool   // more is better
	target string // the goal of Coggo
	limit  float64
	models map[string]string // by name of the system; other systems cannot do this
	options
	rounds int // 0 stands for the usual number
	// run does one round, and returns its figure and the number of wrong answers.
	run func(s *server, b *bench) (figure float64, wrong int, err error)
	// boots means that run starts the systems itself.
	boots bool
}

// bench is one run of everything.
type bench struct {
	quick  bool
	rounds int
	up     map[served]*server // the systems that the last workload has left running
	idle   map[string]rest
}

// served names a running system.
type served struct {
	system, model string
	options
}

// n returns the number of repetitions in a round.
func (b *bench) n(n int) int {
	if b.quick {
		return max(1, n/4)
	}
	return n
}

// result is the result of a workload.
type result struct {
	Workload string               `json:"workload"`
	Unit     string               `json:"unit"`
	Higher   bool                 `json:"higher_is_better"`
	Target   string               `json:"target"`
	Limit    float64              `json:"limit,omitempty"`
	Samples  map[string][]float64 `json:"samples"`
	Wrong    map[string]int       `json:"wrong"`
	Errors   map[string]string    `json:"errors,omitempty"`
	// Of a system by name: why it has no figure, and the rounds without one.
	Why     map[string]string `json:"why,omitempty"`
	LeftOut map[string][]int  `json:"left_out,omitempty"`
	Neutral bool              `json:"neutral,omitempty"` // neither more nor less is better
}

// serve starts the systems of a workload and stops all others.
func (b *bench) serve(w workload, r *result) map[string]*server {
	wanted := map[served]*system{}
	for _, sys := range systems {
		if model, able := w.models[sys.name]; able && !(b.quick && sys.slow) {
			wanted[served{sys.name, model, w.options}] = sys
		}
	}
	servers := map[string]*server{}
	for key, s := range b.up {
		if wanted[key] == nil || w.boots {
			s.stop()
			delete(b.up, key)
		}
	}
	var mu sync.Mutex // guards the maps
	var wg sync.WaitGroup
	for key, sys := range wanted {
		mu.Lock()
		s := b.up[key]
		if w.boots {
			s = &server{system: sys}
		}
		if s != nil {
			servers[sys.name] = s
		}
		mu.Unlock()
		if s == nil {
			wg.Go(func() {
				s, err := sys.start(key.model, key.options)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					r.Errors[sys.name] = err.Error()
					return
				}
				b.up[key], servers[sys.name] = s, s
			})
		}
	}
	wg.Wait()
	return servers
}

// stop stops the systems that the last workload has left running.
func (b *bench) stop() {
	for _, s := range b.up {
		s.stop()
	}
}

// measure runs a workload. All systems are up, and each round asks one after another.
func (b *bench) measure(w workload) result {
	r := result{
		Workload: w.name, Unit: w.unit, Higher: w.higher, Target: w.target, Limit: w.limit,
		Samples: map[string][]float64{}, Wrong: map[string]int{}, Errors: map[string]string{},
	}
	servers := b.serve(w, &r)
	rounds := b.rounds
	if w.rounds > 0 {
		rounds = min(rounds, w.rounds)
	}
	for round := range rounds + 1 {
		for _, sys := range systems {
			s := servers[sys.name]
			if s == nil || r.Errors[sys.name] != "" {
				continue
			}
			figure, wrong, err := w.run(s, b)
			if err != nil {
				r.Errors[sys.name] = err.Error()
				continue
			}
			r.Wrong[sys.name] += wrong
			if round > 0 { // the first one warms the systems up
				r.Samples[sys.name] = append(r.Samples[sys.name], figure)
			}
		}
	}
	for name, text := range r.Errors {
		fmt.Fprintf(os.Stderr, "  %s: %s\n", name, text)
	}
	return r
}

// each returns the models of systems that all serve the same class.
func each(class string, names ...string) map[string]string {
	models := map[string]string{}
	for _, name := range names {
		models[name] = class
	}
	return models
}

func with(models map[string]string, more ...string) map[string]string {
	for i := 0; i < len(more); i += 2 {
		models[more[i]] = more[i+1]
	}
	return models
}

func platforms(class string) map[string]string { return each(class, "coggo", "coglet", "fastapi") }

// pause waits while a server becomes idle.
func pause(d time.Duration) { time.Sleep(d) }
