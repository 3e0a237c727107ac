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
	return unsafe.String(unsafe.SliceData(data.Bytes()), data.Len()), err // large answers are not copied once more
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

// spare are buffers for answers that nobody keeps: new memory for one of 16 MiB would take the
// client longer than to read it.
var spare = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// check makes a prediction and wants text in its answer.
func (s *server) check(body, want string) error {
	data := spare.Get().(*bytes.Buffer)
	defer spare.Put(data)
	data.Reset()
	err := s.receive(data, "POST", s.path, body)
	if err == nil && !bytes.Contains(data.Bytes(), unsafe.Slice(unsafe.StringData(want), len(want))) {
		err = fmt.Errorf("wrong answer: %.200s", data)
	}
	return err
}

func (s *server) get(path string) (string, error) { return s.send("GET", path, "") }

// predict sends one prediction and wants text in its answer.
func (s *server) predict(input any, want string, header ...string) (string, error) {
	return s.request(map[string]any{"input": input}, want, header...)
}

// request is predict with other members beside the input.
func (s *server) request(members map[string]any, want string, header ...string) (string, error) {
	body, err := json.Marshal(members)
	if err != nil {
		return "", err
	}
	return s.ask(string(body), want, header...)
}

// ask is request with a body that is encoded already.
func (s *server) ask(body, want string, header ...string) (string, error) {
	answer, err := s.send("POST", s.path, body, header...)
	if err == nil && !strings.Contains(answer, want) {
		err = fmt.Errorf("wrong answer: %.200s", answer)
	}
	return answer, err
}

// tally is what a load saw.
type tally struct {
	took    []time.Duration // of right answers, sorted
	wrong   int
	first   error
	elapsed time.Duration
}

// load shares n calls of f among clients that each send the next one when they have the answer.
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

// at is the latency in milliseconds that a part q of the right answers did not exceed.
func (t tally) at(q float64) float64 {
	if len(t.took) == 0 {
		return 0
	}
	return ms(t.took[min(len(t.took)-1, int(q*float64(len(t.took))))])
}

// rate is the number of right answers in a second.
func (t tally) rate() float64 { return float64(len(t.took)) / t.elapsed.Seconds() }

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
