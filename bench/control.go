package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// controlWorkloads measure cancel and webhooks.
func controlWorkloads(k *sink) []workload {
	return []workload{
		{
			name: "cancel of time.sleep → terminal", unit: "ms", target: "≤ 2", limit: 2,
			models: platforms("Sleep"), rounds: 3,
			run: func(s *server, b *bench) (float64, int, error) { return cancels(s, b.n(8)) },
		},
		{
			name: "cancel of an async model → terminal", unit: "ms", target: "≤ 1", limit: 1,
			models:  with(platforms("AsyncSleep"), "floor", "", "bare", ""),
			options: options{concurrency: 8},
			run: func(s *server, b *bench) (float64, int, error) {
				if s.system.name == "bare" {
					return afterPause(s, b.n(12))
				}
				return cancels(s, b.n(12))
			},
		},
		{
			name: "end of the prediction → completed webhook", unit: "ms", target: "≤ 2", limit: 2,
			models: platforms("Ended"),
			run: func(s *server, b *bench) (float64, int, error) {
				var late []float64
				for range b.n(40) {
					at, err := k.completed(s, `{"name": "x"}`, nil)
					if err != nil {
						return 0, 1, err
					}
					late = append(late, at)
				}
				return middle(late), 0, nil
			},
		},
		{
			name: "partial outputs by webhook out of order", unit: "of all", target: "0",
			limit: 0.001, models: platforms("Items"), rounds: 3,
			run: func(s *server, b *bench) (float64, int, error) {
				var sizes []int
				if _, err := k.completed(s, `{"count": 200}`, &sizes); err != nil {
					return 0, 1, err
				}
				wrong := 0
				for i, size := range sizes {
					if i > 0 && size < slices.Max(sizes[:i]) {
						wrong++
					}
				}
				return float64(wrong), 0, nil
			},
		},
	}
}

var nextID = time.Now().UnixNano()

// cancels returns the median time from a cancel to the answer of the prediction that waits for it.
func cancels(s *server, n int) (float64, int, error) {
	s.wires.block(true) // because two clients wait for each other
	var all []float64
	for refused := 0; len(all) < n; {
		nextID++
		path := fmt.Sprintf("/predictions/bench%d", nextID)
		ended := make(chan error, 1)
		go func() {
			answer, err := s.send("PUT", path, `{"input": {"name": "x", "seconds": 20}}`)
			if err == nil && !strings.Contains(answer, `"canceled"`) {
				err = fmt.Errorf("not canceled: %.200s", answer)
			}
			ended <- err
		}()
		pause(60 * time.Millisecond)
		start := time.Now()
		if _, err := s.send("POST", path+"/cancel", ""); err != nil {
			if refused++; refused > 10 {
				return 0, 1, errors.Join(err, <-ended)
			}
			// coglet sometimes refuses a prediction although a slot is free. Then there is nothing
			// to cancel.
			pause(100 * time.Millisecond)
			continue
		}
		select {
		case err := <-ended:
			if err != nil {
				return 0, 1, err
			}
		case <-time.After(15 * time.Second):
			return 0, 1, errors.New("a canceled prediction did not end")
		}
		all = append(all, ms(time.Since(start)))
		pause(20 * time.Millisecond)
	}
	return middle(all), 0, nil
}

// afterPause returns the median time of a request after the idle time that precedes a cancel.
func afterPause(s *server, n int) (float64, int, error) {
	s.wires.block(true)
	var all []float64
	for range n {
		pause(60 * time.Millisecond)
		start := time.Now()
		if err := hello(s)(); err != nil {
			return 0, 1, err
		}
		all = append(all, ms(time.Since(start)))
	}
	return middle(all), 0, nil
}

// completed runs a prediction with a webhook. It returns the milliseconds from the end of the
// model's code to the last call. The model is Ended, because coglet does not report when a
// prediction has finished. sizes gets the number of output items of each call.
func (k *sink) completed(s *server, input string, sizes *[]int) (float64, error) {
	for len(k.hook) > 0 {
		<-k.hook
	}
	body := fmt.Sprintf(`{"input": %s, "webhook": %q, `+
		`"webhook_events_filter": ["start", "output", "logs", "completed"]}`, input, k.base+"/hook")
	for try := 0; ; try++ {
		_, err := s.send("POST", s.path, body, "Prefer", "respond-async")
		if err == nil {
			break
		}
		if try == 20 {
			return 0, err
		}
		pause(20 * time.Millisecond) // coglet may refuse although a slot is free
	}
	for {
		select {
		case h := <-k.hook:
			var p struct {
				Status string `json:"status"`
				Output any    `json:"output"`
			}
			if err := json.Unmarshal(h.body, &p); err != nil {
				return 0, err
			}
			if items, ok := p.Output.([]any); ok && sizes != nil {
				*sizes = append(*sizes, len(items))
			}
			if p.Status == "succeeded" {
				if sizes != nil {
					pause(200 * time.Millisecond) // a call after the last one is out of order too
					for len(k.hook) > 0 {
						<-k.hook
						*sizes = append(*sizes, -1)
					}
				}
				text, _ := p.Output.(string)
				ended, _ := strconv.ParseInt(text, 10, 64) // the model Ended returns a number
				return ms(h.at.Sub(time.Unix(0, ended))), nil
			}
		case <-time.After(10 * time.Second):
			return 0, errors.New("no completed webhook")
		}
	}
}
