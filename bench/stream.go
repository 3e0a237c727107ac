package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// streamWorkloads measure server-sent events, which cog 0.16 does not have.
var streamWorkloads = []workload{
	{
		name: "async generator over SSE: time to first token (64 × 4 ms)", unit: "ms",
		target: "≤ 8", limit: 8,
		models: each("AsyncTokens", "coggo", "coglet"), options: options{concurrency: 32},
		run: func(s *server, b *bench) (float64, int, error) {
			var all []float64
			for range b.n(8) {
				seen, err := s.stream(64)
				if err != nil {
					return 0, 1, err
				}
				all = append(all, ms(seen.first))
			}
			return middle(all), 0, nil
		},
	},
	{
		name: "sync generator over SSE: yield → client", unit: "ms", target: "≤ 0.5", limit: 0.5,
		models: each("Stamped", "coggo", "coglet"),
		run: func(s *server, b *bench) (float64, int, error) {
			seen, err := s.stream(60)
			return middle(seen.late), 0, err
		},
	},
	{
		name: "sync generator over SSE: burst", unit: "tokens/s", higher: true,
		target: "≥ 15000", limit: 15000, models: each("Burst", "coggo", "coglet"),
		run: func(s *server, b *bench) (float64, int, error) {
			const count = 5000
			start := time.Now()
			seen, err := s.stream(count)
			return float64(count) / time.Since(start).Seconds(), count + 1 - seen.tokens, err
		},
	},
	{
		name: "continuous batching, SSE, 32 clients, 4 ms step (ideal 8000)", unit: "tokens/s",
		higher: true, target: "≥ 7400", limit: 7400,
		models: each("Engine", "coggo", "coglet"), options: options{concurrency: 32},
		run: func(s *server, b *bench) (float64, int, error) {
			return s.batching(func() (int, error) {
				seen, err := s.stream(64)
				return seen.tokens, err
			}, b)
		},
	},
	{
		name: "continuous batching, JSON, 32 clients, 4 ms step (ideal 8000)", unit: "tokens/s",
		higher: true, models: platforms("Engine"), options: options{concurrency: 32},
		run: func(s *server, b *bench) (float64, int, error) {
			return s.batching(func() (int, error) {
				answer, err := s.predict(map[string]any{"count": 64}, "token63")
				return strings.Count(answer, "token"), err
			}, b)
		},
	},
}

// batching keeps 32 clients busy and counts tokens.
func (s *server) batching(one func() (int, error), b *bench) (float64, int, error) {
	var mu sync.Mutex // guards tokens
	tokens := 0
	t := s.load(32, b.n(256), func() error {
		n, err := one()
		if err == nil && n != 64 {
			err = fmt.Errorf("%d tokens", n)
		}
		mu.Lock()
		defer mu.Unlock()
		tokens += n
		return err
	})
	return float64(tokens) / t.elapsed.Seconds(), t.wrong, tooManyWrong(t)
}

// streamed is the result of one stream.
type streamed struct {
	first  time.Duration // until the first token
	tokens int
	late   []float64 // milliseconds since each yield, of tokens that contain its time
}

var stamp = regexp.MustCompile(`at (\d+\.\d+)`)

// stream reads one prediction as server-sent events.
func (s *server) stream(count int) (out streamed, err error) {
	body, err := json.Marshal(map[string]any{"input": map[string]any{"count": count}})
	if err != nil {
		return out, err
	}
	start := time.Now()
	resp, err := s.wires.do("POST", s.path, string(body), "Accept", "text/event-stream")
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	kind := resp.Header.Get("Content-Type")
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(kind, "text/event-stream") {
		return out, fmt.Errorf("the answer is not a stream: %s %s", resp.Status, kind)
	}
	output := false
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		line := lines.Text()
		if name, found := strings.CutPrefix(line, "event:"); found {
			output = strings.TrimSpace(name) == "output"
			continue
		}
		if !output || !strings.HasPrefix(line, "data:") {
			continue
		}
		now := time.Now()
		out.tokens++
		if out.tokens == 1 {
			out.first = now.Sub(start)
		}
		if found := stamp.FindStringSubmatch(line); found != nil {
			at, _ := strconv.ParseFloat(found[1], 64)
			out.late = append(out.late, (float64(now.UnixNano())/1e9-at)*1e3)
		}
	}
	if out.tokens == 0 && lines.Err() == nil {
		return out, errors.New("the stream has no output")
	}
	return out, lines.Err()
}

// middle returns the median.
func middle(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
