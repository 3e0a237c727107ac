package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// send makes one request and returns the body of a 2xx answer.
func (s *server) send(method, path, body string, header ...string) (string, error) {
	var data bytes.Buffer
	err := s.receive(&data, method, path, body, header...)
	// unsafe, so that a large answer is not copied once more.
	return unsafe.String(unsafe.SliceData(data.Bytes()), data.Len()), err
}

// receive is send into a buffer.
func (s *server) receive(data *bytes.Buffer, method, path, body string, header ...string) error {
	resp, err := s.wires.do(method, path, body, header...)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.ContentLength > 0 {
		data.Grow(int(resp.ContentLength) + bytes.MinRead)
	}
	_, err = data.ReadFrom(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s: %.200s", resp.Status, data)
	}
	return err
}

// spare has buffers for answers that are not kept, because allocating one of 16 MiB takes longer
// than reading the answer.
var spare = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// check makes a prediction and requires text in its answer.
func (s *server) check(body, want string) error {
	data := spare.Get().(*bytes.Buffer)
	defer spare.Put(data)
	data.Reset()
	err := s.receive(data, "POST", s.path, body)
	wanted := unsafe.Slice(unsafe.StringData(want), len(want))
	if err == nil && !bytes.Contains(data.Bytes(), wanted) {
		err = fmt.Errorf("wrong answer: %.200s", data)
	}
	return err
}

func (s *server) get(path string) (string, error) { return s.send("GET", path, "") }

// predict sends one prediction and requires text in its answer.
func (s *server) predict(input any, want string, header ...string) (string, error) {
	return s.request(map[string]any{"input": input}, want, header...)
}

// request is predict with members in addition to the input.
func (s *server) request(members map[string]any, want string, header ...string) (string, error) {
	body, err := json.Marshal(members)
	if err != nil {
		return "", err
	}
	return s.ask(string(body), want, header...)
}

// ask is request with an encoded body.
func (s *server) ask(body, want string, header ...string) (string, error) {
	answer, err := s.send("POST", s.path, body, header...)
	if err == nil && !strings.Contains(answer, want) {
		err = fmt.Errorf("wrong answer: %.200s", answer)
	}
	return answer, err
}

// tally is the result of a load.
type tally struct {
	took    []time.Duration // of right answers, sorted
	wrong   int
	first   error
	elapsed time.Duration
}

// load distributes n calls of f over clients. Each client makes its next call when it has the
// answer.
func (s *server) load(clients, n int, f func() error) tally {
	s.wires.block(clients == 1)
	work := make(chan struct{}, n)
	for range n {
		work <- struct{}{}
	}
	close(work)
	var t tally
	var mu sync.Mutex // guards t
	var wg sync.WaitGroup
	start := time.Now()
	for range clients {
		wg.Go(func() {
			var mine tally
			for range work {
				began := time.Now()
				if err := f(); err != nil {
					mine.wrong++
					mine.first = err
				} else {
					mine.took = append(mine.took, time.Since(began))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			t.took = append(t.took, mine.took...)
			t.wrong += mine.wrong
			if t.first == nil {
				t.first = mine.first
			}
		})
	}
	wg.Wait()
	t.elapsed = time.Since(start)
	slices.Sort(t.took)
	return t
}

// at returns the quantile q of the latency of the right answers, in milliseconds.
func (t tally) at(q float64) float64 {
	if len(t.took) == 0 {
		return 0
	}
	return ms(t.took[min(len(t.took)-1, int(q*float64(len(t.took))))])
}

// rate returns the number of right answers per second.
func (t tally) rate() float64 { return float64(len(t.took)) / t.elapsed.Seconds() }

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
