package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// openStreams keeps streams open whose model has sent a token and waits.
func openStreams(c *curve, q *curves) error {
	most := slices.Max(c.Levels)
	up, err := q.sites("Held", 2*most+40, nil, nil) // each worker of the queue may get them all
	if err != nil {
		return err
	}
	for _, s := range up {
		s.wires.block(false)
		var open []io.Closer
		idle := s.memory()
		for _, level := range c.Levels {
			more, err := s.hold(level - len(open))
			open = append(open, more...)
			if err != nil {
				return fmt.Errorf("%s: %d streams: %w", s.name, level, err)
			}
			pause(time.Second)
			c.noteMemory(s, level, idle)
			var first []float64
			for range q.n(3, 40) {
				start := time.Now()
				one, err := s.held()
				if err != nil {
					return err
				}
				first = append(first, ms(time.Since(start)))
				if err := one.Close(); err != nil {
					return err
				}
				pause(5 * time.Millisecond)
			}
			c.note(s.name+": first token of one more", "ms", level, middle(first))
		}
		for _, one := range open {
			if err := one.Close(); err != nil {
				return err
			}
		}
	}
	return nil
}

// hold opens streams, eight at a time.
func (s *site) hold(count int) (open []io.Closer, first error) {
	var mu sync.Mutex // guards the results
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for i := n; i < count; i += 8 {
				one, err := s.held()
				mu.Lock()
				if err != nil && first == nil {
					first = err
				}
				if one != nil {
					open = append(open, one)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return open, first
}

// held opens a stream and returns when its first token is there.
func (s *site) held() (io.Closer, error) {
	resp, err := s.wires.do("POST", s.path, `{"input": {}}`, "Accept", "text/event-stream")
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(resp.Body)
		return resp.Body, fmt.Errorf("%s: %.300s", resp.Status, why)
	}
	lines := bufio.NewReaderSize(resp.Body, 512)
	for {
		text, err := lines.ReadString('\n')
		if err != nil || strings.HasPrefix(text, "event: output") {
			return resp.Body, err
		}
	}
}
