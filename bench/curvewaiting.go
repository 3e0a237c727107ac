package main

import (
	"fmt"
	"math/rand/v2"
	"sort"
	"strings"
	"sync"
	"time"
)

// pileUp keeps the slots busy while predictions pile up, and then lets them run.
func pileUp(c *curve, q *curves) error {
	up, err := q.sites("Sleep", 1, []string{"--max-queue", "200000"}, nil)
	if err != nil {
		return err
	}
	for _, s := range up {
		if err := s.pile(c); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// pile measures one site of pileUp.
func (s *site) pile(c *curve) error {
	slots := 1
	if s.queue != nil {
		slots = len(s.queue.workers)
	}
	for n := range slots {
		if err := s.accept(fmt.Sprintf("busy%d", n), 3600); err != nil {
			return err
		}
	}
	pause(500 * time.Millisecond)
	idle := s.memory()
	waiting := 0
	for _, level := range c.Levels {
		start, before := time.Now(), waiting
		if err := s.acceptAll(waiting, level); err != nil {
			return err
		}
		waiting = level
		c.note(s.name+": accepted, 32 clients", "/s", level, float64(level-before)/time.Since(start).Seconds())
		c.noteMemory(s, level, idle)
		one := func() string { return fmt.Sprintf("%s/w%d", s.path, rand.IntN(waiting)) }
		if err := c.noteLook(s, "GET of one that waits, p50", level, one); err != nil {
			return err
		}
	}
	for n := range slots {
		if _, err := s.send("POST", fmt.Sprintf("%s/busy%d/cancel", s.path, n), ""); err != nil {
			return err
		}
	}
	rate, err := s.drain(waiting)
	c.note(s.name+": then they run, one slot for each worker", "/s", waiting, rate)
	return err
}

// drain returns how many of the waiting predictions begin per second, first come first served,
// until the last one has begun or half a minute is over.
func (s *site) drain(waiting int) (float64, error) {
	var failed error
	waits := func(n int) bool {
		body, err := s.get(fmt.Sprintf("%s/w%d", s.path, n))
		if err != nil && !strings.HasPrefix(err.Error(), "404") { // ended, and retained no more
			failed = err
		}
		return strings.Contains(body, `"starting"`)
	}
	start := time.Now()
	for waits(waiting-1) && time.Since(start) < 30*time.Second {
		pause(10 * time.Millisecond)
	}
	took := time.Since(start)
	return float64(sort.Search(waiting, waits)) / took.Seconds(), failed
}

// accept hands in one prediction.
func (s *site) accept(id string, seconds float64) error {
	body := fmt.Sprintf(`{"id": %q, "input": {"seconds": %g}}`, id, seconds)
	_, err := s.send("POST", s.path, body, "Prefer", "respond-async")
	return err
}

// acceptAll hands in predictions by 32 clients.
func (s *site) acceptAll(from, to int) error {
	var mu sync.Mutex // guards next
	next := from
	t := s.load(32, to-from, func() error {
		mu.Lock()
		id := next
		next++
		mu.Unlock()
		return s.accept(fmt.Sprintf("w%d", id), 0)
	})
	return t.first
}
