package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// at64 lets a model run 64 predictions at once.
var at64 = options{concurrency: 64}

// Each runtime's model that does nothing.
var (
	noops      = everyone("Noop", "Noop", "Noop")
	asyncNoops = everyone("AsyncNoop", "Batched", "AsyncNoop")
)

// requestWorkloads measure many small predictions.
var requestWorkloads = []workload{
	latency("sync latency p50, one client", 0.5, "≤ 0.5 × coglet"),
	latency("sync latency p90", 0.9, ""),
	latency("sync latency p99", 0.99, ""),
	throughput("sync no-op, 1 client", 1, 800, "≥ 3 × coglet", options{}, noops),
	work("CPU of the tree for a sync no-op", 1, 800, options{}, noops),
	work("CPU of the tree for an async no-op, 32 clients", 32, 2400, at64, asyncNoops),
	throughput("async no-op, 8 clients", 8, 1600, "", at64, asyncNoops),
	throughput("async no-op, 32 clients", 32, 3000, "≥ 3 × coglet", at64, asyncNoops),
	throughput("async no-op, 64 clients", 64, 3000, "", at64, asyncNoops),
	throughput("@batch of 16, no-op, 32 clients", 32, 3000, "≥ mosec", at64,
		map[string]string{"coggo": "Batched", "mosec": "Batched16", "floor": "", "bare": ""}),
	throughput("async sleep(0.05), 64 clients (ideal 1280)", 64, 6400, "≥ 1200", at64,
		with(platforms("AsyncSleep"),
			"mosec", "BatchedSleep", "litserve", "AsyncSleep", "bare", "")),
	{
		name: "async sleep(0.05), 64 clients: latency p99", unit: "ms", target: "≤ 75", limit: 75,
		models:  with(platforms("AsyncSleep"), "mosec", "BatchedSleep", "litserve", "AsyncSleep"),
		options: at64,
		run: func(s *server, b *bench) (float64, int, error) {
			t := s.load(64, b.n(2560), hello(s))
			return t.at(0.99), t.wrong, tooManyWrong(t)
		},
	},
	{
		name: "200-item sync iterator, JSON answer", unit: "ms", target: "≤ 5", limit: 5,
		models: platforms("Items"),
		run: func(s *server, b *bench) (float64, int, error) {
			return median(s, b.n(20), `{"input": {"count": 200}}`, `"item 199"`)
		},
	},
	{
		name: "health, 8 clients", unit: "/s", higher: true, target: "≥ 0.9 × bare",
		models: with(platforms("Noop"), "bare", ""),
		run: func(s *server, b *bench) (float64, int, error) {
			t := s.load(8, b.n(8000), func() error {
				body, err := s.get("/health-check")
				if err == nil && !strings.Contains(body, "READY") {
					err = fmt.Errorf("wrong answer: %.100s", body)
				}
				return err
			})
			return t.rate(), t.wrong, tooManyWrong(t)
		},
	},
	{
		name: "health p99 while the model holds the GIL", unit: "ms", target: "≤ 2", limit: 2,
		models: platforms("Burn"), rounds: 3,
		run: func(s *server, b *bench) (float64, int, error) {
			done := make(chan error, 1)
			go func() {
				_, err := s.predict(map[string]any{"seconds": 2}, "burnt")
				done <- err
			}()
			pause(200 * time.Millisecond)
			var t tally
			for range 300 {
				pause(5 * time.Millisecond)
				one := s.load(1, 1, func() error {
					_, err := s.get("/health-check")
					return err
				})
				t.took, t.wrong = append(t.took, one.took...), t.wrong+one.wrong
			}
			slices.Sort(t.took)
			return t.at(0.99), t.wrong, <-done
		},
	},
	{
		name: "20,000 log lines, all in order", unit: "ms", target: "≤ 100", limit: 100,
		models: platforms("Logs"), rounds: 5,
		run: func(s *server, b *bench) (float64, int, error) {
			start := time.Now()
			answer, err := s.predict(map[string]any{"count": 20000}, "printed")
			took := ms(time.Since(start))
			if err != nil {
				return 0, 0, err
			}
			return took, missingLines(answer, 20000), nil
		},
	},
}

func everyone(cog, mosec, litserve string) map[string]string {
	return with(platforms(cog), "mosec", mosec, "litserve", litserve, "floor", "", "bare", "")
}

func hello(s *server) func() error {
	return func() error {
		return s.check(`{"input": {"name": "x"}}`, "hello x")
	}
}

func latency(name string, q float64, target string) workload {
	return workload{
		name: name, unit: "ms", target: target, models: everyone("Noop", "Noop", "Noop"),
		run: func(s *server, b *bench) (float64, int, error) {
			t := s.load(1, b.n(400), hello(s))
			return t.at(q), t.wrong, tooManyWrong(t)
		},
	}
}

func throughput(
	name string, clients, n int, target string, o options, models map[string]string,
) workload {
	return workload{
		name: name, unit: "/s", higher: true, target: target, models: models, options: o,
		run: func(s *server, b *bench) (float64, int, error) {
			t := s.load(clients, b.n(n), hello(s))
			return t.rate(), t.wrong, tooManyWrong(t)
		},
	}
}

// work returns the CPU time per right answer. It shows the cost of a runtime even if the machine is
// too busy to show its speed.
func work(name string, clients, n int, o options, models map[string]string) workload {
	return workload{
		name: name, unit: "ms", models: models, options: o,
		run: func(s *server, b *bench) (float64, int, error) {
			before, _ := s.activity()
			t := s.load(clients, b.n(n), hello(s))
			after, _ := s.activity()
			perAnswer := (after - before) / max(1, float64(len(t.took)))
			return perAnswer, t.wrong, tooManyWrong(t)
		},
	}
}

// tooManyWrong returns the first error of a load, if not one answer was right.
func tooManyWrong(t tally) error {
	if len(t.took) == 0 {
		return t.first
	}
	return nil
}

// median returns the median latency of n predictions, one after another. The caller has encoded the
// body, because encoding a large one takes longer than some servers take to answer it.
func median(s *server, n int, body, want string) (float64, int, error) {
	t := s.load(1, n, func() error {
		return s.check(body, want)
	})
	return t.at(0.5), t.wrong, tooManyWrong(t)
}

// missingLines returns the number of lines that are missing or out of order.
func missingLines(answer string, count int) (missing int) {
	at := 0
	for i := range count {
		line := fmt.Sprintf(`line %d\n`, i)
		found := strings.Index(answer[at:min(len(answer), at+4096)], line)
		if found < 0 {
			missing++
			continue
		}
		at += found + len(line)
	}
	return missing
}
