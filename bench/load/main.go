// Command load sends the same prediction again and again over kept-alive connections and prints what it saw: answers
// that were right, answers that were wrong, latencies. An answer counts as right when its status is 200 and its body
// contains -want.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"
)

type load struct {
	url, body, want string
	method          string
	clients, total  int
	warmup          int
}

// tally is what one client saw.
type tally struct {
	took  []time.Duration
	wrong int
	first string // an answer that was wrong
}

func main() {
	var l load
	flag.StringVar(&l.url, "url", "http://127.0.0.1:5000/predictions", "where to send")
	flag.StringVar(&l.method, "method", "POST", "HTTP method")
	flag.StringVar(&l.body, "body", `{"input": {"name": "x"}}`, "request body, empty for none")
	flag.StringVar(&l.want, "want", "", "text that a right answer contains")
	flag.IntVar(&l.clients, "clients", 1, "connections that send at once")
	flag.IntVar(&l.total, "n", 2000, "requests in total")
	flag.IntVar(&l.warmup, "warmup", 200, "requests before that are not counted")
	flag.Parse()

	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: l.clients, DisableCompression: true}}
	l.run(client, l.warmup)
	start := time.Now()
	sum := l.run(client, l.total)
	l.print(sum, time.Since(start))
	if sum.wrong > 0 {
		os.Exit(1)
	}
}

// run shares n requests among the clients.
func (l *load) run(client *http.Client, n int) tally {
	work := make(chan struct{}, n)
	for range n {
		work <- struct{}{}
	}
	close(work)
	var all tally
	var mu sync.Mutex // guards all
	var wg sync.WaitGroup
	for range l.clients {
		wg.Go(func() {
			mine := l.client(client, work)
			mu.Lock()
			defer mu.Unlock()
			all.took = append(all.took, mine.took...)
			all.wrong += mine.wrong
			if all.first == "" {
				all.first = mine.first
			}
		})
	}
	wg.Wait()
	slices.Sort(all.took)
	return all
}

func (l *load) client(client *http.Client, work <-chan struct{}) (t tally) {
	for range work {
		start := time.Now()
		answer, err := l.send(client)
		t.took = append(t.took, time.Since(start))
		if err != nil {
			t.wrong++
			t.first = err.Error() + " " + answer
		}
	}
	return t
}

func (l *load) send(client *http.Client) (string, error) {
	req, err := http.NewRequest(l.method, l.url, bytes.NewReader([]byte(l.body)))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || !bytes.Contains(data, []byte(l.want))) {
		err = fmt.Errorf("wrong answer: %s", resp.Status)
	}
	return string(data[:min(len(data), 200)]), err
}

func (l *load) print(t tally, took time.Duration) {
	at := func(q float64) float64 {
		return float64(t.took[min(len(t.took)-1, int(q*float64(len(t.took))))]) / float64(time.Millisecond)
	}
	fmt.Printf("clients %d  requests %d  wrong %d  p50 %.3f ms  p90 %.3f ms  p99 %.3f ms  %.0f/s\n",
		l.clients, len(t.took), t.wrong, at(.5), at(.9), at(.99), float64(len(t.took))/took.Seconds())
	if t.wrong > 0 {
		fmt.Println("first wrong answer:", t.first)
	}
}
