package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// sharedWorkload is measured on one server alone and on a queue, which is a broker, workers and a
// gateway of the same binary. All of them share the processors with the client.
type sharedWorkload struct {
	rows  []sharedRow // one for each figure of a run
	fleet sharedOptions
	alone bool // one server can do it too
	once  bool // it takes long
	run   func(c *contender, n func(int) int) ([]float64, error)
}

// sharedRow is a row of the table.
type sharedRow struct{ name, unit, goal string }

// sharedWorkloads are the rows of the table that `bin/bench -shared` prints, with their goals.
var sharedWorkloads = []sharedWorkload{
	{
		rows: []sharedRow{
			{"sync no-op, 1 client, p50", "ms", "≤ alone + 0.8"},
			{"sync no-op, 1 client, p99", "ms", "≤ 4"},
		},
		fleet: sharedOptions{class: "Noop", workers: 1}, alone: true,
		run: func(c *contender, n func(int) int) ([]float64, error) {
			t := c.load(1, n(1500), hello(c.server))
			return []float64{t.at(0.5), t.at(0.99)}, tooManyWrong(t)
		},
	},
	{
		rows:  []sharedRow{{"a request and its end through the broker alone, p50", "ms", ""}},
		fleet: sharedOptions{class: "Noop", workers: 1},
		run: func(c *contender, n func(int) int) ([]float64, error) {
			t, err := throughBroker(c, n(1500))
			return []float64{t.at(0.5)}, err
		},
	},
	backlog("Noop, 1 slot", sharedOptions{class: "Noop", workers: 1}, 32, ""),
	backlog("async def, 64 slots", sharedOptions{class: "AsyncNoop", workers: 1, concurrency: 64}, 32, "≥ 4000"),
	backlog("async def, 64 slots", sharedOptions{class: "AsyncNoop", workers: 1, concurrency: 64}, 256, "≥ 4000"),
	{
		rows:  []sharedRow{{"sync POSTs, async def, 64 slots, 32 clients", "/s", ""}},
		fleet: sharedOptions{class: "AsyncNoop", workers: 1, concurrency: 64}, alone: true,
		run: func(c *contender, n func(int) int) ([]float64, error) {
			t := c.load(32, n(8000), hello(c.server))
			return []float64{t.rate()}, tooManyWrong(t)
		},
	},
	{
		rows:  []sharedRow{{"accepted without a worker, 32 clients", "/s", ""}},
		fleet: sharedOptions{class: "Noop"},
		run: func(c *contender, n func(int) int) ([]float64, error) {
			t := c.load(32, n(20_000), later(c.server))
			return []float64{t.rate()}, errors.Join(tooManyWrong(t), c.purge())
		},
	},
	{
		rows: []sharedRow{
			{"100,000 waiting: memory of the broker for each", "B", "< 512"},
			{"100,000 waiting: a worker with 64 slots runs them", "/s", ""},
		},
		fleet: sharedOptions{class: "AsyncNoop", concurrency: 64}, once: true, run: waiting100k,
	},
	{
		rows:  []sharedRow{{"cancel of time.sleep → terminal", "ms", "≤ 5"}},
		fleet: sharedOptions{class: "Sleep", workers: 1}, alone: true,
		run: func(c *contender, n func(int) int) ([]float64, error) {
			late, _, err := cancels(c.server, n(8))
			return []float64{late}, err
		},
	},
	{
		rows:  []sharedRow{{"kill -9 of a worker → another one runs it", "s", "≤ 10"}},
		fleet: sharedOptions{class: "Sleep", workers: 2}, once: true,
		run: func(c *contender, _ func(int) int) ([]float64, error) {
			late, err := c.loseWorker()
			return []float64{late}, err
		},
	},
}

// backlog is asynchronous predictions: how fast they are accepted, and run.
func backlog(what string, o sharedOptions, clients int, goal string) sharedWorkload {
	about := fmt.Sprintf("async no-op (%s), %d clients: ", what, clients)
	return sharedWorkload{
		rows: []sharedRow{
			{about + "accepted", "/s", "≥ 4000"},
			{about + "run", "/s", goal},
			{about + "CPU of all servers", "ms", ""},
		},
		fleet: o, alone: true,
		run: func(c *contender, n func(int) int) ([]float64, error) {
			before := c.cpu()
			began := time.Now()
			t := c.load(clients, n(8000), later(c.server))
			err := errors.Join(tooManyWrong(t), c.drained())
			took := time.Since(began).Seconds()
			count := float64(len(t.took))
			return []float64{t.rate(), count / took, (c.cpu() - before) / count}, err
		},
	}
}

// later asks for a prediction without waiting for its end.
func later(s *server) func() error {
	return func() error {
		_, err := s.ask(`{"input": {"name": "x"}}`, `"starting"`, "Prefer", "respond-async")
		return err
	}
}

// waiting100k lets many predictions wait, and a worker run them.
func waiting100k(c *contender, n func(int) int) ([]float64, error) {
	count := n(100_000)
	before := c.brokerMemory()
	t := c.load(32, count, later(c.server))
	if t.wrong > 0 {
		return nil, t.first
	}
	each := float64(c.brokerMemory()-before) * 1024 / float64(count)
	began := time.Now()
	err := c.queue.startWorker(0)
	if err == nil {
		err = c.drained()
	}
	rate := float64(count) / time.Since(began).Seconds()
	c.queue.stopWorkers()
	return []float64{each, rate}, err
}

// drained returns when nothing waits or runs any more.
func (c *contender) drained() error {
	left := c.inFlight
	if c.queue != nil {
		left = c.left
	}
	for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); pause(2 * time.Millisecond) {
		if n, err := left(); err != nil || n == 0 {
			return err
		}
	}
	return errors.New("the predictions did not end")
}

var inFlight = regexp.MustCompile(`(?m)^coggo_predictions_in_flight\S* (\d+)$`)

// inFlight returns how many predictions a server has that have not ended.
func (s *server) inFlight() (n int, err error) {
	text, err := s.get("/metrics")
	if err != nil {
		return 0, err
	}
	found := inFlight.FindStringSubmatch(text)
	if found == nil {
		return 0, errors.New("no coggo_predictions_in_flight")
	}
	_, err = fmt.Sscan(found[1], &n)
	return n, err
}

// sharedBench measures the binaries in turns.
type sharedBench struct {
	rounds   int
	quick    bool
	binaries []string
	up       []*contender
	serving  sharedOptions
}

// runShared compares a queue of each binary with the binary alone, and writes shared.md.
func runShared(binaries []string, quick bool, rounds int, only *regexp.Regexp, out string) error {
	b := &sharedBench{rounds: rounds, quick: quick, binaries: binaries}
	if len(binaries) == 0 {
		b.binaries = []string{"bin/coggo-server"}
	}
	defer func() { b.stop() }()
	var table strings.Builder
	table.WriteString(b.head())
	for _, w := range sharedWorkloads {
		if !slices.ContainsFunc(w.rows, func(r sharedRow) bool { return only.MatchString(r.name) }) {
			continue
		}
		lines, err := b.measure(w)
		if err != nil {
			return fmt.Errorf("%s: %w", w.rows[0].name, err)
		}
		fmt.Print(lines)
		table.WriteString(lines)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "shared.md"), []byte(table.String()), 0o644)
}

// serve starts what a workload needs, unless it is there already.
func (b *sharedBench) serve(w sharedWorkload) error {
	if b.up != nil && b.serving == w.fleet && !w.once {
		return nil
	}
	b.stop()
	b.serving = w.fleet
	for _, binary := range b.binaries {
		s, err := startAlone(binary, w.fleet)
		if err != nil {
			return err
		}
		b.up = append(b.up, &contender{site: &site{name: b.column("alone", binary), server: s}})
		q, err := newQueue(b.column("queue", binary), binary, w.fleet.class, w.fleet.concurrency, sharedFlags...)
		if err != nil {
			return err
		}
		c := &contender{site: q}
		b.up = append(b.up, c)
		if err := c.start(w.fleet.workers); err != nil {
			return err
		}
	}
	return nil
}

func (b *sharedBench) column(kind, binary string) string {
	if len(b.binaries) == 1 {
		return kind
	}
	return kind + " " + binary
}

func (b *sharedBench) stop() {
	for _, c := range b.up {
		c.stop()
	}
	b.up = nil
}

// measure returns the rows of a workload. The first round warms up, unless it takes too long.
func (b *sharedBench) measure(w sharedWorkload) (string, error) {
	if err := b.serve(w); err != nil {
		return "", err
	}
	first, n := 1, func(n int) int { return n }
	if w.once {
		first = 0
	}
	if b.quick {
		n = func(n int) int { return max(1, n/4) }
	}
	samples := make([]map[string][]float64, len(w.rows))
	for i := range samples {
		samples[i] = map[string][]float64{}
	}
	for round := range b.rounds + first {
		for _, c := range b.up {
			if c.queue == nil && !w.alone {
				continue
			}
			figures, err := w.run(c, n)
			if err != nil {
				return "", fmt.Errorf("%s: %w", c.name, err)
			}
			for i, figure := range figures {
				if round >= first {
					samples[i][c.name] = append(samples[i][c.name], figure)
				}
			}
		}
	}
	var lines strings.Builder
	for i, row := range w.rows {
		lines.WriteString(b.line(row, result{Samples: samples[i]}))
	}
	return lines.String(), nil
}

// head is the head of the table.
func (b *sharedBench) head() string {
	names := []string{"workload", "unit", "goal"}
	for _, binary := range b.binaries {
		names = append(names, b.column("alone", binary), b.column("queue", binary), "queue / alone")
	}
	if len(b.binaries) > 1 {
		names = append(names, "last queue / first")
	}
	return "| " + strings.Join(names, " | ") + " |\n|" + strings.Repeat("---|", len(names)) + "\n"
}

// line is a row of the table. Ratios are medians over those of each round.
func (b *sharedBench) line(row sharedRow, r result) string {
	cells := []string{row.name, row.unit, row.goal}
	of := func(kind, binary string) []float64 { return r.Samples[b.column(kind, binary)] }
	for _, binary := range b.binaries {
		cells = append(cells, r.cell(b.column("alone", binary)), r.cell(b.column("queue", binary)),
			ratioOf(of("queue", binary), of("alone", binary)))
	}
	if last := len(b.binaries) - 1; last > 0 {
		cells = append(cells, ratioOf(of("queue", b.binaries[last]), of("queue", b.binaries[0])))
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

func ratioOf(a, b []float64) string {
	if len(a) == 0 || len(b) == 0 {
		return "–"
	}
	return short(against(a, b))
}

// sharedOptions are what a workload needs.
type sharedOptions struct {
	class       string
	concurrency int
	workers     int
}
