package main

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// retained lets no-ops end and looks at them.
func retained(c *curve, q *curves) error {
	up, err := q.sites("AsyncNoop", 64, nil, []string{"--retain", "200000"})
	if err != nil {
		return err
	}
	for _, s := range up {
		if err := s.retain(c); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// retain measures one site of retained.
func (s *site) retain(c *curve) error {
	if t := s.load(32, 300, hello(s.server)); t.first != nil { // warms it up
		return t.first
	}
	pause(time.Second)
	idle := s.memory()
	var mu sync.Mutex // guards next
	next := 0
	for _, level := range c.Levels {
		t := s.load(32, level-next, func() error {
			mu.Lock()
			id := next
			next++
			mu.Unlock()
			_, err := s.ask(fmt.Sprintf(`{"id": "r%d", "input": {"name": "x"}}`, id), "hello x")
			return err
		})
		if t.first != nil {
			return t.first
		}
		c.note(s.name+": finished meanwhile, 32 clients", "/s", level, t.rate())
		pause(time.Second)
		c.noteMemory(s, level, idle)
		one := func() string { return fmt.Sprintf("%s/r%d", s.path, rand.IntN(next)) }
		if err := c.noteLook(s, "GET of one, p50", level, one); err != nil {
			return err
		}
		list := func() string { return s.path }
		if err := c.noteLook(s, "a page of the list, p50", level, list); err != nil {
			return err
		}
		alone := s.load(1, 200, hello(s.server))
		c.note(s.name+": a no-op, one client, p50", "ms", level, alone.at(0.5))
	}
	return nil
}
