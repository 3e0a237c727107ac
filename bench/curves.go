package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
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

// note adds a figure of a level.
func (c *curve) note(name, unit string, level int, figure float64) {
	i := slices.IndexFunc(c.Lines, func(l *line) bool { return l.Name == name })
	if i < 0 {
		i = len(c.Lines)
		c.Lines = append(c.Lines, &line{Name: name, Unit: unit, Samples: map[int][]float64{}})
	}
	c.Lines[i].Samples[level] = append(c.Lines[i].Samples[level], figure)
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

// site is Coggo as a client meets it: one server, or a queue with a gateway and two workers.
type site struct {
	name string
	*server
	trees  []int // the first process of the server, or of gateway and workers
	broker int   // process of the broker, or 0
	stop   func()
}

// sites starts one server, and a queue if there is a broker, with the same model. The slots are
// those of all workers together. Both get the flags, and those of alone are for one server.
func (q *curves) sites(model string, slots int, flags, alone []string) ([]*site, error) {
	one := options{concurrency: slots, flags: strings.Join(append(alone, flags...), " ")}
	if err := q.start(systems[0], "one server", model, one); err != nil {
		return nil, err
	}
	if _, err := program("nats-server"); err != nil {
		fmt.Println("without a queue: nats-server is not installed")
		return q.up, nil
	}
	err := q.startQueue(model, slots, flags)
	return q.up, err
}

// start starts a system as a site.
func (q *curves) start(sys *system, name, model string, o options) error {
	s, err := sys.start(model, o)
	if err == nil {
		q.add(&site{name: name, server: s, trees: []int{s.cmd.Process.Pid}, stop: s.stop})
	}
	return err
}

func (q *curves) startQueue(model string, slots int, flags []string) error {
	model, err := modelDir(model, options{concurrency: max(1, slots/2)})
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-queue-")
	if err != nil {
		return err
	}
	f := &fleet{dir: dir, ports: map[string]int{}, peer: &peer{
		name: "coggo", broker: "nats-server",
		worker: func(f *fleet, _ int) *exec.Cmd {
			return f.coggo(append([]string{model, "--python", python("coggo"), "--port", "0"}, flags...)...)
		},
		gateway: func(f *fleet) *exec.Cmd {
			return f.coggo(append([]string{"gateway", "--port", f.port("gateway")}, flags...)...)
		},
	}}
	s := q.add(&site{name: "queue", stop: func() {
		if err := f.stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		_ = os.RemoveAll(model)
	}})
	if err := f.startMembers(); err != nil {
		return err
	}
	s.broker = f.members[0].Process.Pid
	for _, cmd := range f.members[1:] {
		s.trees = append(s.trees, cmd.Process.Pid)
	}
	knowsBoth := func(s *server) bool {
		body, err := s.get("/health-check")
		return err == nil && strings.Contains(body, `"workers":2`)
	}
	s.server = &server{
		system: &system{name: "coggo", path: "/predictions", ready: knowsBoth},
		cmd:    f.members[len(f.members)-1],
		wires:  wires{address: "127.0.0.1:" + f.port("gateway")},
	}
	return s.await(5*time.Millisecond, time.Minute)
}

// memory is the PSS of the processes of Coggo, and that of the broker, in KiB.
type memory struct{ own, broker float64 }

func (s *site) memory() (m memory) {
	for _, root := range s.trees {
		m.own += float64(field(tree(root), "smaps_rollup", "Pss"))
	}
	if s.broker != 0 {
		m.broker = float64(field([]int{s.broker}, "smaps_rollup", "Pss"))
	}
	return m
}

// noteMemory adds what a site takes beyond what it took idle, for each of those that it has now.
func (c *curve) noteMemory(s *site, level int, idle memory) {
	now := s.memory()
	c.note(s.name+": memory for each", "KiB", level, (now.own-idle.own)/float64(level))
	if s.broker != 0 {
		c.note(s.name+": memory of the broker for each", "KiB", level,
			(now.broker-idle.broker)/float64(level))
	}
}

// cpu returns the CPU time of all processes, those of the broker included, in milliseconds.
func (s *site) cpu() (sum float64) {
	for _, root := range append(slices.Clone(s.trees), s.broker) {
		if root != 0 {
			own, _ := (&server{cmd: &exec.Cmd{Process: &os.Process{Pid: root}}}).activity()
			sum += own
		}
	}
	return sum
}

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
	slots := max(1, len(s.trees)-1)
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

// drain returns how many of the waiting predictions begin per second, first come first served, until
// the last one has begun or half a minute is over.
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

// noteLook adds how long one client waits for a path.
func (c *curve) noteLook(s *site, name string, level int, path func() string) error {
	look := s.load(1, 50, func() error {
		_, err := s.get(path())
		return err
	})
	c.note(s.name+": "+name, "ms", level, look.at(0.5))
	return tooManyWrong(look)
}
