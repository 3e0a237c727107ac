// Command batching starts a server with examples/continuous-batching, lets more and more clients stream predictions, and writes a plot of
// tokens per second against clients.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

var levels = []int{1, 2, 4, 8, 16, 32, 64}

// tokens is the length of each answer.
const tokens = 128

// result is what one number of clients brought: the median of its rounds.
type result struct {
	clients int
	rate    float64 // tokens per second, all clients together
	first   time.Duration
}

func main() {
	server := flag.String("server", "bin/coggo-server", "the server")
	python := flag.String("python", "python3", "an interpreter with numpy")
	plot := flag.String("plot", "docs/continuous-batching.svg", "where the plot goes")
	seconds := flag.Float64("seconds", 4, "how long each number of clients is measured in each round")
	rounds := flag.Int("rounds", 3, "how often, interleaved; medians count")
	flag.Parse()
	if err := run(*server, *python, *plot, time.Duration(*seconds*float64(time.Second)), *rounds); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(server, python, plot string, length time.Duration, rounds int) error {
	address, stop, err := start(server, python)
	if err != nil {
		return err
	}
	defer stop()
	url := "http://" + address + "/predictions"
	found := make([][]result, len(levels))
	for round := range rounds + 1 { // the first one warms up
		for i, clients := range levels {
			r, err := measure(url, clients, length)
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
		fmt.Printf("clients %2d  tokens/s %6.0f  (%.0f to %.0f)  × one client %5.1f  first token %s\n", results[i].clients, results[i].rate,
			found[i][0].rate, found[i][len(found[i])-1].rate, results[i].rate/results[0].rate, results[i].first.Round(10*time.Microsecond))
	}
	return os.WriteFile(plot, draw(results), 0o644)
}

// start runs the server and waits until it is ready.
func start(server, python string) (address string, stop func(), err error) {
	cmd := exec.Command(server, "--host", "127.0.0.1", "--port", "0", "--python", python, "--log-format", "text", "examples/continuous-batching")
	out, err := cmd.StderrPipe()
	if err != nil {
		return "", nil, err
	}
	cmd.Stdout = io.Discard
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		_ = cmd.Wait()
	}
	listening := regexp.MustCompile(`msg=listening address=(\S+)`)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			address = m[1]
		}
		if address != "" && strings.Contains(lines.Text(), "model ready") {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return address, stop, nil
		}
	}
	stop()
	return "", nil, errors.New("the server ended before it was ready; does its Python have numpy?")
}

// measure lets clients stream one prediction after the other and counts what arrives within length.
func measure(url string, clients int, length time.Duration) (result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), length)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	counts, errs := make([]int, clients), make([]error, clients)
	firsts := make([][]time.Duration, clients)
	began := time.Now()
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			for n := 0; ctx.Err() == nil && errs[i] == nil; n++ {
				var first time.Duration
				first, errs[i] = stream(ctx, client, url, i*1000+n, &counts[i])
				firsts[i] = append(firsts[i], first)
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	client.CloseIdleConnections()
	sum := 0
	for _, n := range counts {
		sum += n
	}
	waits := slices.Concat(firsts...)
	slices.Sort(waits)
	return result{clients, float64(sum) / took.Seconds(), waits[len(waits)/2]}, errors.Join(errs...)
}

// stream reads one prediction and adds its tokens to count. An answer that is not whole is an error, unless ctx ended it.
func stream(ctx context.Context, client *http.Client, url string, seed int, count *int) (first time.Duration, err error) {
	body := fmt.Sprintf(`{"input": {"prompt": "The ", "max_tokens": %d, "seed": %d}}`, tokens, seed)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	began := time.Now()
	resp, err := client.Do(r)
	if err != nil {
		return 0, unlessOver(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("answer %s", resp.Status)
	}
	got := 0
	lines := bufio.NewReader(resp.Body)
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if bytes.HasPrefix(line, []byte("event: output")) {
			if got == 0 {
				first = time.Since(began)
			}
			got++
			*count++
		}
		switch {
		case errors.Is(err, io.EOF) && got == tokens:
			return first, nil
		case err != nil:
			return first, unlessOver(ctx, fmt.Errorf("%d of %d tokens: %w", got, tokens, err))
		}
	}
}

func unlessOver(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
