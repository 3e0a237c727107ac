package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// curve is how some figures change with a level, such as the number of open streams.
type curve struct {
	Name   string  `json:"curve"`
	Level  string  `json:"level"`
	Levels []int   `json:"levels"`
	Lines  []*line `json:"lines"`
	file   string  // of its plot
	run    func(c *curve, q *curves) error
}

// line is one figure of one system at each level.
type line struct {
	Name    string            `json:"name"`
	Unit    string            `json:"unit"`
	Samples map[int][]float64 `json:"samples"` // by level
}

// curves is one run of `make bench-curves`.
type curves struct {
	extent

	mu sync.Mutex // guards up
	up []*site    // what runs now
}

func allCurves() []*curve {
	return []*curve{
		{
			Name: "Running at once", Level: "clients, each with a no-op of an async model", file: "running.svg",
			Levels: []int{1, 2, 4, 8, 16, 32, 64, 128, 256}, run: runningAtOnce,
		},
		{
			Name: "Open streams", Level: "open streams", file: "streams.svg",
			Levels: []int{1, 10, 100, 1000, 3000}, run: openStreams,
		},
		{
			Name: "Waiting", Level: "predictions that wait", file: "waiting.svg",
			Levels: []int{10, 100, 1000, 10_000, 100_000}, run: pileUp,
		},
		{
			Name: "Retained", Level: "ended predictions that are retained", file: "retained.svg",
			Levels: []int{1000, 10_000, 100_000}, run: retained,
		},
	}
}

func (q *curves) measure(only func(string) bool) error {
	go q.endAtSignal()
	defer q.stopAll()
	var done []*curve
	for _, c := range allCurves() {
		if !only(c.Name) {
			continue
		}
		if q.quick {
			c.Levels = slices.DeleteFunc(c.Levels, func(n int) bool { return n > 1000 })[:1]
		}
		start := time.Now()
		if err := c.run(c, q); err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		q.stopAll()
		fmt.Printf("%s (%s)\n", c.markdown(), time.Since(start).Round(time.Second))
		done = append(done, c)
		if err := q.write(done); err != nil {
			return err
		}
	}
	return nil
}

// endAtSignal ends the run at a signal.
func (q *curves) endAtSignal() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	<-signals
	q.stopAll()
	exit(errStopped)
}

// add keeps a site for stopAll.
func (q *curves) add(s *site) *site {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.up = append(q.up, s)
	return s
}

// stopAll stops all sites.
func (q *curves) stopAll() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, s := range q.up {
		s.stop()
	}
	q.up = nil
}

// sites starts one server, and a queue if there is a broker, with the same model. The slots are
// those of both workers together. Both sites get the flags, and those of alone are for one server.
func (q *curves) sites(model string, slots int, flags, alone []string) ([]*site, error) {
	one := options{concurrency: slots, flags: strings.Join(append(alone, flags...), " ")}
	if err := q.start(systems[0], "one server", model, one); err != nil {
		return nil, err
	}
	if _, err := program("nats-server"); err != nil {
		fmt.Println("without a queue: nats-server is not installed")
		return q.up, nil
	}
	s, err := newQueue("queue", "bin/coggo-server", model, max(1, slots/2), flags...)
	if err == nil {
		err = q.add(s).startQueue(2)
	}
	return q.up, err
}

// start starts a system as a site.
func (q *curves) start(sys *system, name, model string, o options) error {
	s, err := sys.start(model, o)
	if err == nil {
		q.add(&site{name: name, server: s})
	}
	return err
}

// note adds a figure of a level.
func (c *curve) note(name, unit string, level int, figure float64) {
	i := slices.IndexFunc(c.Lines, func(l *line) bool { return l.Name == name })
	if i < 0 {
		i = len(c.Lines)
		c.Lines = append(c.Lines, &line{Name: name, Unit: unit, Samples: map[int][]float64{}})
	}
	c.Lines[i].Samples[level] = append(c.Lines[i].Samples[level], figure)
}

// noteMemory adds what a site takes beyond what it took idle, for each of those that it has now.
func (c *curve) noteMemory(s *site, level int, idle memory) {
	now := s.memory()
	c.note(s.name+": memory for each", "KiB", level, (now.own-idle.own)/float64(level))
	if s.queue != nil {
		c.note(s.name+": memory of the broker for each", "KiB", level,
			(now.broker-idle.broker)/float64(level))
	}
}

// noteLook adds how long one client waits for a path.
func (c *curve) noteLook(s *site, name string, level int, path func() string) error {
	look := s.load(1, 50, func() error {
		_, err := s.get(path())
		return err
	})
	c.note(s.name+": "+name, "ms", level, look.at(0.5))
	return tooManyWrong(look)
}

// markdown returns a table with a column for each level.
func (c *curve) markdown() string {
	var out strings.Builder
	fmt.Fprintf(&out, "**%s**\n\n| %s | unit |", c.Name, c.Level)
	for _, level := range c.Levels {
		fmt.Fprintf(&out, " %s |", thousands(level))
	}
	out.WriteString("\n|---|---|" + strings.Repeat("---|", len(c.Levels)) + "\n")
	for _, l := range c.Lines {
		fmt.Fprintf(&out, "| %s | %s |", l.Name, l.Unit)
		for _, level := range c.Levels {
			if len(l.Samples[level]) == 0 {
				out.WriteString(" – |")
				continue
			}
			fmt.Fprintf(&out, " %s |", short(middle(l.Samples[level])))
		}
		out.WriteString("\n")
	}
	return out.String()
}

func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

// curvesCommand is the command whose results publishCurves puts into the page.
const curvesCommand = "make bench-curves"

func (q *curves) write(done []*curve) error {
	if err := os.MkdirAll(q.out, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(done, "", " ")
	if err != nil {
		return err
	}
	head := fmt.Sprintf("%s, %d processors.\n", time.Now().UTC().Format(time.RFC3339), runtime.NumCPU())
	files := map[string]string{"results.json": string(data) + "\n"}
	for _, c := range done {
		head += "\n" + c.markdown() + "\n![" + c.Name + "](performance/curves/" + c.file + ")\n"
		files[c.file] = c.draw()
	}
	files["results.md"] = head
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(q.out, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// publishCurves writes a run into the documentation.
func publishCurves(dir string) error {
	const pictures = "docs/performance/curves"
	text, err := os.ReadFile(filepath.Join(dir, "results.md"))
	if err == nil {
		err = publish("docs/performance.md", curvesCommand, string(text))
	}
	if err == nil {
		err = os.MkdirAll(pictures, 0o755)
	}
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	for _, file := range files {
		if strings.HasSuffix(file, ".md") {
			continue
		}
		data, readErr := os.ReadFile(file)
		if readErr == nil {
			readErr = os.WriteFile(filepath.Join(pictures, filepath.Base(file)), data, 0o644)
		}
		if readErr != nil {
			return readErr
		}
	}
	return err
}
