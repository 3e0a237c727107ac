// Command batching starts a server with examples/continuous-batching, lets more and more clients
// stream predictions, and writes a plot of tokens per second against clients.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

var levels = []int{1, 2, 4, 8, 16, 32, 64}

// tokens is the length of each answer.
const tokens = 128

// result is the median of the rounds of one number of clients.
type result struct {
	clients int
	rate    float64 // tokens per second, all clients together
	// perCPU is tokens per second of CPU time of the runner process: its rate if it had its own
	// core.
	perCPU float64
	first  time.Duration
}

func main() {
	server := flag.String("server", "bin/coggo-server", "the server")
	python := flag.String("python", "python3", "an interpreter with numpy")
	plot := flag.String("plot", "docs/continuous-batching.svg", "where the plot goes")
	seconds := flag.Float64("seconds", 4, "seconds for each number of clients in each round")
	rounds := flag.Int("rounds", 3, "rounds, interleaved; the table has the medians")
	flag.Parse()
	length := time.Duration(*seconds * float64(time.Second))
	if err := run(*server, *python, *plot, length, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(server, python, plot string, length time.Duration, rounds int) error {
	address, pid, stop, err := start(server, python)
	if err != nil {
		return err
	}
	defer stop()
	url := "http://" + address + "/predictions"
	found := make([][]result, len(levels))
	for round := range rounds + 1 { // the first one warms the model up
		for i, clients := range levels {
			r, err := measure(url, pid, clients, length)
			if err != nil {
				return fmt.Errorf("%d clients: %w", clients, err)
			}
			if round > 0 {
				found[i] = append(found[i], r)
			}
		}
	}
	results := make([]result, len(levels))
	for i := range found {
		slices.SortFunc(found[i], func(a, b result) int { return int(a.rate - b.rate) })
		results[i] = found[i][len(found[i])/2]
		r, one := results[i], results[0]
		fmt.Printf("clients %2d  tokens/s %6.0f  (%.0f to %.0f)  × one client %5.1f"+
			"  per CPU second %6.0f  × one client %5.1f  first token %s\n",
			r.clients, r.rate, found[i][0].rate, found[i][len(found[i])-1].rate, r.rate/one.rate,
			r.perCPU, r.perCPU/one.perCPU, r.first.Round(10*time.Microsecond))
	}
	return os.WriteFile(plot, draw(results), 0o644)
}

// start runs the server and waits until it is ready.
func start(server, python string) (address string, pid int, stop func(), err error) {
	cmd := exec.Command(server, "--host", "127.0.0.1", "--port", "0", "--python", python,
		"--log-format", "text", "examples/continuous-batching")
	out, err := cmd.StderrPipe()
	if err != nil {
		return "", 0, nil, err
	}
	cmd.Stdout = io.Discard
	if err := cmd.Start(); err != nil {
		return "", 0, nil, err
	}
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		_ = cmd.Wait()
	}
	listening := regexp.MustCompile(`msg=listening address=(\S+)`)
	started := regexp.MustCompile(`msg="runner started".* pid=(\d+)`)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			address = m[1]
		}
		if m := started.FindStringSubmatch(lines.Text()); m != nil {
			pid, _ = strconv.Atoi(m[1])
		}
		if address != "" && strings.Contains(lines.Text(), "model ready") {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return address, pid, stop, nil
		}
	}
	stop()
	return "", 0, nil, errors.New("the server exited before it was ready: has its Python numpy?")
}

// measure lets clients stream one prediction after another, and counts the tokens that arrive
// within length. It reads all predictions to their ends, so that the next measurement begins with
// an empty batch.
func measure(url string, pid, clients int, length time.Duration) (result, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	counts, errs := make([]int, clients), make([]error, clients)
	firsts := make([][]time.Duration, clients)
	end := time.Now().Add(length)
	used := cpuTime(pid)
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			for n := 0; time.Now().Before(end) && errs[i] == nil; n++ {
				var first time.Duration
				first, errs[i] = stream(client, url, i*1000+n, end, &counts[i])
				firsts[i] = append(firsts[i], first)
			}
		})
	}
	all.Wait()
	used = cpuTime(pid) - used
	client.CloseIdleConnections()
	sum := 0
	for _, n := range counts {
		sum += n
	}
	waits := slices.Concat(firsts...)
	slices.Sort(waits)
	return result{
		clients: clients,
		rate:    float64(sum) / length.Seconds(),
		perCPU:  float64(len(waits)*tokens) / used.Seconds(),
		first:   waits[len(waits)/2],
	}, errors.Join(errs...)
}

// cpuTime returns the CPU time that a process has used until now.
func cpuTime(pid int) time.Duration {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The fields are counted after the name, see proc(5).
	const user, system, tick = 11, 12, 10 * time.Millisecond
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	sum := 0
	for _, i := range []int{user, system} {
		n, _ := strconv.Atoi(fields[i])
		sum += n
	}
	return time.Duration(sum) * tick
}

// stream reads one prediction, and adds the tokens that arrive before end to count. It returns the
// time until the first token.
func stream(
	client *http.Client, url string, seed int, end time.Time, count *int,
) (first time.Duration, err error) {
	const input = `{"input": {"prompt": "The ", "max_tokens": %d, "seed": %d}}`
	body := fmt.Sprintf(input, tokens, seed)
	r, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	began := time.Now()
	resp, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("answer %s", resp.Status)
	}
	got := 0
	lines := bufio.NewReader(resp.Body)
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			break
		}
		if !bytes.HasPrefix(line, []byte("event: output")) {
			continue
		}
		now := time.Now()
		if got == 0 {
			first = now.Sub(began)
		}
		got++
		if now.Before(end) {
			*count++
		}
	}
	if got != tokens {
		return first, fmt.Errorf("%d of %d tokens", got, tokens)
	}
	return first, nil
}
