// Command stream reads predictions of bench/models/tokens.py as server-sent events. It prints the
// number of chunks per second, and the time of a chunk from its yield to this client.
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// seen is the result of one stream.
type seen struct {
	late []time.Duration
	err  error
}

func main() {
	url := flag.String("url", "http://127.0.0.1:5000/predictions", "where to send")
	count := flag.Int("count", 50000, "chunks of each prediction")
	pause := flag.Float64("pause", 0, "seconds between two chunks")
	streams := flag.Int("streams", 1, "predictions at once")
	flag.Parse()

	body := fmt.Sprintf(`{"input": {"count": %d, "pause": %g}}`, *count, *pause)
	results := make([]seen, *streams)
	start := time.Now()
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() { results[i] = read(*url, body) })
	}
	all.Wait()
	took := time.Since(start)
	var late []time.Duration
	for _, r := range results {
		if r.err != nil {
			fmt.Println(r.err)
			os.Exit(1)
		}
		late = append(late, r.late...)
	}
	slices.Sort(late)
	at := func(q float64) float64 {
		return float64(late[int(q*float64(len(late)-1))]) / float64(time.Millisecond)
	}
	fmt.Printf("streams %d  chunks %d of %d"+
		"  yield to client p50 %.3f ms  p90 %.3f ms  p99 %.3f ms  %.0f/s\n",
		*streams, len(late), *streams**count,
		at(.5), at(.9), at(.99), float64(len(late))/took.Seconds())
}

// read follows one prediction to its end.
func read(url, body string) (s seen) {
	r, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return seen{err: err}
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return seen{err: err}
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return seen{err: fmt.Errorf("the answer is %s", answer.Status)}
	}
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<30)
	for lines.Scan() {
		if moment, ok := yielded(lines.Bytes()); ok {
			s.late = append(s.late, time.Since(moment))
		}
	}
	s.err = lines.Err()
	return s
}

// yielded returns the time in a chunk.
func yielded(line []byte) (time.Time, bool) {
	rest, ok := bytes.CutPrefix(line, []byte(`data: {"chunk":"`))
	if !ok {
		return time.Time{}, false
	}
	digits, _, _ := bytes.Cut(rest, []byte{'"'})
	n, err := strconv.ParseInt(string(digits), 10, 64)
	return time.Unix(0, n), err == nil
}
