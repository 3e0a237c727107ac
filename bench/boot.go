package main

import (
	"os/exec"
	"strings"
	"time"
)

// bootWorkloads measure a server that has just been started.
var bootWorkloads = []workload{
	{
		name: "exec → READY", unit: "ms", target: "≤ 90", limit: 90, boots: true,
		models: platforms("Noop"),
		run:    func(s *server, b *bench) (float64, int, error) { return boot(s, false) },
	},
	{
		name: "exec → first prediction", unit: "ms", target: "≤ 95", limit: 95, boots: true,
		models: with(platforms("Noop"), "mosec", "Noop", "litserve", "Noop"), rounds: 5,
		run: func(s *server, b *bench) (float64, int, error) { return boot(s, true) },
	},
	{
		name: "the interpreter alone", unit: "ms", boots: true, models: each("", "coggo"),
		run: func(s *server, b *bench) (float64, int, error) {
			start := time.Now()
			err := exec.Command(python("coggo"), "-c", "pass").Run()
			return ms(time.Since(start)), 0, err
		},
	},
	{
		name: "idle memory, PSS of the tree", unit: "MiB", target: "≤ 20", limit: 20, rounds: 1,
		models: with(platforms("Noop"), "mosec", "Noop", "litserve", "Noop"),
		run: func(s *server, b *bench) (float64, int, error) {
			b.rest(s)
			return s.pss(), 0, nil
		},
	},
	{
		name: "idle CPU", unit: "ms/s", target: "≤ 0.02", limit: 0.02, rounds: 1,
		models: with(platforms("Noop"), "mosec", "Noop", "litserve", "Noop"),
		run: func(s *server, b *bench) (float64, int, error) {
			cpu, _ := b.rest(s)
			return cpu, 0, nil
		},
	},
	{
		name: "idle wakeups", unit: "/s", target: "≤ 0.5", limit: 0.5, rounds: 1,
		models: with(platforms("Noop"), "mosec", "Noop", "litserve", "Noop"),
		run: func(s *server, b *bench) (float64, int, error) {
			_, sleeps := b.rest(s)
			return sleeps, 0, nil
		},
	},
}

// rest records the time since which a server is idle, and its figures at that time.
type rest struct {
	since  time.Time
	cpu    float64
	sleeps int
}

const (
	calm  = 3 * time.Second // until a server counts as idle
	watch = 6 * time.Second // for which its idle figures are measured
)

// rest returns the CPU milliseconds and the wakeups per second of an idle server. The first call
// for a server only records the beginning, so that all servers are idle at the same time.
func (b *bench) rest(s *server) (cpu, sleeps float64) {
	r, known := b.idle[s.name]
	if !known {
		pause(calm - time.Since(s.began))
		r.since = time.Now()
		r.cpu, r.sleeps = s.activity()
		b.idle[s.name] = r
		return 0, 0
	}
	pause(watch - time.Since(r.since))
	ms, n := s.activity()
	passed := time.Since(r.since).Seconds()
	return (ms - r.cpu) / passed, float64(n-r.sleeps) / passed
}

// boot measures from exec to READY or to the first answer.
func boot(s *server, first bool) (float64, int, error) {
	fresh, err := s.launch("Noop", options{})
	if err != nil {
		return 0, 0, err
	}
	defer fresh.stop()
	if !first {
		err = fresh.await(time.Millisecond, time.Minute)
		return ms(time.Since(fresh.began)), 0, err
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		answer, err := fresh.predict(map[string]any{"name": "x"}, "hello x")
		if err == nil {
			break
		}
		text := err.Error()
		starting := strings.Contains(text, "refused") || strings.Contains(text, "503")
		if !starting && answer == "" {
			return 0, 1, err
		}
	}
	return ms(time.Since(fresh.began)), 0, nil
}
