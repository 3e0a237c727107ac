package queue

import (
	"encoding/json"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/coggo/coggo/internal/prediction"
)

// want asks the worker for the events of the run, now and after each claim.
func (m *mirror) want() {
	m.mu.Lock()
	known := m.wanted
	m.wanted = true
	m.mu.Unlock()
	if !known {
		m.ask()
	}
}

// askAgain is how long an answer of the worker may take before it is asked for the same again.
const askAgain = 200 * time.Millisecond

// ask asks the worker for the events that are not known yet.
func (m *mirror) ask() {
	last, now := m.prediction.LastEvent(), m.q.config.Now()
	m.mu.Lock()
	early := m.asked == last && now.Sub(m.askedAt) < askAgain
	if !early {
		m.asked, m.askedAt = last, now
	}
	m.mu.Unlock()
	if early { // one lost message is noticed by each one that follows it
		return
	}
	// If the message is lost, the next sweep asks again.
	_ = m.q.broker.nc.PublishMsg(m.place.tell(m.run, headerFollow, strconv.Itoa(last)))
}

// eventsSoon bounds how long the first reader waits for the events so far: the worker may be lost.
const eventsSoon = time.Second

// seen returns once the events so far are known, or after eventsSoon.
func (m *mirror) seen() {
	if m.prediction.Status().Terminal() {
		return
	}
	m.want()
	if m.prediction.Status() != prediction.Processing {
		return
	}
	late := time.NewTimer(eventsSoon)
	defer late.Stop()
	select {
	case <-m.fed:
	case <-m.prediction.Done():
	case <-late.C:
		m.once.Do(func() { close(m.fed) })
	}
}

// ofClaimLocked reports whether a message is from the worker that has the run. Another one may not
// know yet that it has lost it. Writers that do not know of turns do not say who they are.
func (m *mirror) ofClaimLocked(msg *nats.Msg) bool {
	turn, err := turnIn(msg.Header)
	owner, named := msg.Header[headerOwner]
	return !m.over && err == nil && msg.Header.Get(headerRun) == m.run && turn == m.turn &&
		(named && owner[0] == m.owner || !named && m.owner != "" && msg.Header.Get(headerTurn) == "")
}

// mostEarly bounds the messages that are held until the claim is known, which says whether they
// count. The run does not wait for its first claim.
const mostEarly = 8

// hearEvents takes events of the run.
func (m *mirror) hearEvents(msg *nats.Msg) {
	first, err := strconv.Atoi(msg.Header.Get(headerFirst))
	var events []event
	if err != nil || json.Unmarshal(msg.Data, &events) != nil {
		return
	}
	m.mu.Lock()
	known, last := m.ofClaimLocked(msg), m.prediction.LastEvent()
	if !known && m.turn == 0 && !m.over && len(m.early) < mostEarly {
		m.early = append(m.early, msg)
	}
	m.mu.Unlock()
	if !known { // what is missing then is asked for once the claim is known
		return
	}
	if first > last+1 {
		m.ask()
		return
	}
	large, err := m.fetch(events[min(len(events), max(0, last+1-first)):])
	if err != nil {
		return // the next events show that these are missing
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.ofClaimLocked(msg) {
		return
	}
	last = m.prediction.LastEvent()
	for i, e := range events {
		if first+i == last+1 {
			e.apply(m.prediction, large[e.Object], m.q.config.Now())
			last++
		}
	}
	m.once.Do(func() { close(m.fed) })
}

// fetch reads the data of events that lies in pieces. It returns chunks by name, and puts texts
// into their events.
func (m *mirror) fetch(events []event) (large map[string]prediction.Value, err error) {
	for i, e := range events {
		if e.Object == "" {
			continue
		}
		o, err := parseObject(e.Object)
		if err != nil {
			return nil, err
		}
		file, err := m.q.broker.objects(m.model).download(m.q.ctx, o, span{0, o.size})
		if err != nil {
			return nil, err
		}
		if large == nil {
			large = map[string]prediction.Value{}
		}
		if large[e.Object], err = events[i].take(file, o.size); err != nil {
			return nil, err
		}
	}
	return large, nil
}

// take reads the data of a large event. A chunk stays in its file.
func (e *event) take(file *os.File, size int64) (chunk prediction.Value, err error) {
	if e.Kind != prediction.KindOutput {
		defer func() { _ = file.Close() }() // it was only read
		e.Text, err = io.ReadAll(io.NewSectionReader(file, 0, size))
		return chunk, err
	}
	return chunkIn(file, size, e.Files)
}

// hearPast takes what the run has done so far: this process is so late that events which it does
// not know were dropped.
func (m *mirror) hearPast(msg *nats.Msg) {
	p, err := payloadOf(msg.Header, msg.Data)
	if err != nil {
		return
	}
	until, err := m.q.broker.loadPast(m.q.ctx, m.place, p, false)
	if err != nil {
		return // the next events show that these are missing
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	shadow := prediction.New(m.prediction.Request, prediction.Limits{})
	_, err = until.play(shadow, m.turn)
	if err != nil || !m.ofClaimLocked(msg) || shadow.LastEvent() <= m.prediction.LastEvent() {
		return
	}
	m.prediction.Adopt(shadow)
	m.once.Do(func() { close(m.fed) })
}
