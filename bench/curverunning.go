package main

import (
	"fmt"
	"os"
)

// runningAtOnce lets more and more clients ask for no-ops, in turns.
func runningAtOnce(c *curve, q *curves) error {
	if _, err := q.sites("AsyncNoop", 256, nil, nil); err != nil {
		return err
	}
	for _, sys := range systems {
		model, wanted := map[string]string{"mosec": "Batched", "floor": ""}[sys.name]
		if _, err := os.Stat(python(sys.name)); !wanted || (sys.name == "mosec" && err != nil) {
			continue
		}
		if err := q.start(sys, sys.name, model, options{concurrency: 256}); err != nil {
			return err
		}
	}
	for round := range q.rounds + 1 {
		for _, level := range c.Levels {
			for _, s := range q.up {
				before := s.cpu()
				t := s.load(level, q.n(60, max(600, 8*level)), hello(s.server))
				if err := tooManyWrong(t); err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
				spent := s.cpu() - before
				if round == 0 {
					continue
				}
				c.note(s.name+": finished", "/s", level, t.rate())
				c.note(s.name+": p50", "ms", level, t.at(0.5))
				c.note(s.name+": CPU time of each", "ms", level, spent/float64(len(t.took)))
			}
		}
	}
	return nil
}
