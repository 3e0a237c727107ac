package queue

import (
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/coggo/coggo/internal/prediction"
)

// follow sends the events of a job after a number, and from now on all others.
func (w *Worker) follow(j *job, after int) {
	w.claimNow(j) // a follower takes no events before it knows the claim
	j.mu.Lock()
	j.followed = true
	run, late := j.run, j.sending
	w.sendLocked(j)
	j.mu.Unlock()
	if late { // somebody comes late, or has missed a message
		s := sender{w: w, j: j, run: run, answers: true}
		go s.after(after) // it may have much to store, and cancels come after this question
	}
}

// sendLocked begins to send the events of a job once it runs, if somebody follows it.
func (w *Worker) sendLocked(j *job) {
	if j.run != nil && j.followed && !j.sending {
		j.sending = true
		go w.send(j, j.run)
	}
}

// send sends the events of a run as they come, until it has ended.
func (w *Worker) send(j *job, run *prediction.Prediction) {
	s := sender{w: w, j: j, run: run}
	for number := 0; ; {
		next, more, ended := s.after(number)
		if ended {
			return
		}
		number = next
		select {
		case <-more:
		case <-w.q.ctx.Done():
			return
		}
	}
}

// sender sends some events of a run, as many in a message as fit.
type sender struct {
	w       *Worker
	j       *job
	run     *prediction.Prediction
	answers bool // send a message even if there is no event
	msg     *nats.Msg
	batch   []byte // JSON of the events, each with a comma before it
	count   int    // of the events of the batch
	size    int
	last    int // number of the last event of the batch
}

// after sends the events after a number. It returns the number of the last one, and a channel that
// is closed when there are more. ended says that none can follow.
func (s *sender) after(number int) (next int, more <-chan struct{}, ended bool) {
	events, lost, more := s.run.After(number)
	if lost > 0 {
		if number, ended = s.past(); ended {
			return number, more, true
		}
		events, _, more = s.run.After(number)
	}
	s.last = number
	for _, e := range events {
		if e.Kind == prediction.KindCompleted {
			ended = true
			break
		}
		s.add(e)
	}
	if s.count > 0 || s.answers {
		s.flush()
	}
	return s.last, more, ended
}

func (s *sender) add(e prediction.Event) {
	wired, size := s.wired(e)
	if s.count > 0 && !s.w.q.broker.fits(s.size+size) {
		s.flush()
	}
	s.batch = wired.append(append(s.batch, ','))
	s.count, s.size, s.last = s.count+1, s.size+size, e.Number
}

// wired returns an event as it is sent, and about its length. It stores in pieces what does not fit
// into a message. If that fails, those who follow learn it, and what comes after it, at the end.
func (s *sender) wired(e prediction.Event) (wired event, size int) {
	fits := s.w.q.broker.fits
	if e.Kind == prediction.KindOutput && (len(e.Chunk().Inserts) > 0 || !fits(e.Chunk().Len()+eventRoom)) {
		wired = event{Kind: e.Kind}
		return s.put(e, wired, func(w io.Writer) (span, error) { return writeChunk(w, e.Chunk()) }), eventRoom
	}
	wired = eventOf(e)
	size = wired.size()
	if e.Kind == prediction.KindLog && !fits(size) {
		wired = event{Kind: e.Kind, Source: e.Source()}
		return s.put(e, wired, func(w io.Writer) (_ span, err error) {
			_, err = w.Write(e.Text())
			return span{}, err
		}), eventRoom
	}
	return wired, size
}

// eventRoom is more than an event takes in addition to its data.
const eventRoom = 512

// put stores the data of an event, once, and returns the event with its name. write returns where
// in the data a table of files is.
func (s *sender) put(e prediction.Event, wired event, write func(w io.Writer) (span, error)) event {
	name := fmt.Sprintf("event-%s-%d", s.j.asked.run, e.Number)
	stored, known := s.j.stored(name)
	if !known {
		var err error
		stored.object, err = s.w.q.broker.putLarge(s.w.q.ctx, s.j.place, name, func(w *objectWriter) (err error) {
			stored.files, err = write(w)
			return err
		})
		if err != nil {
			s.w.q.config.Log.Warn("store a large event: readers get it with the end", "id", s.j.entry.ID, "error", err)
		}
		s.w.lend(s.j, name, stored)
	}
	wired.Object, wired.Files = stored.String(), stored.files
	return wired
}

// lentObject is an object for those who follow a run, until its end.
type lentObject struct {
	object
	files span // of an item: the table of its files
}

// stored returns what was stored under a name for those who follow the run.
func (j *job) stored(name string) (o lentObject, known bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	o, known = j.objects[name]
	return o, known
}

// lend notes what was stored under a name. If the run has ended meanwhile it removes it.
func (w *Worker) lend(j *job, name string, o lentObject) {
	j.mu.Lock()
	left := j.left
	if j.objects == nil {
		j.objects = map[string]lentObject{}
	}
	if !left {
		j.objects[name] = o
	}
	j.mu.Unlock()
	if left {
		w.q.broker.discard(w.q.ctx, j.place, payload{object: o.object})
	}
}

// lentPast is what a run has done so far, for those who came late.
type lentPast struct {
	name string
	payload
}

// pastsLent is how many of them are in the broker: somebody may be about to read the one before the
// last. Each has the whole output so far, and a run may be asked for hundreds of times.
const pastsLent = 2

// lentPast returns the payload that was stored under a name.
func (j *job) lentPast(name string) (p payload, known bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, lent := range j.pasts {
		if lent.name == name {
			return lent.payload, true
		}
	}
	return p, false
}

// lendPast notes what was stored under a name, and returns what is to be removed.
func (j *job) lendPast(name string, p payload) (void []lentPast) {
	j.mu.Lock()
	defer j.mu.Unlock()
	next := lentPast{name, p}
	switch {
	case j.left:
		return []lentPast{next}
	case slices.ContainsFunc(j.pasts, func(l lentPast) bool { return l.name == name }):
		return nil // two were asked for at once
	}
	j.pasts = append(j.pasts, next)
	old := max(0, len(j.pasts)-pastsLent)
	void, j.pasts = j.pasts[:old:old], j.pasts[old:]
	return void
}

// forgetObjects removes what was stored for those who followed the run: the end has all of it.
func (w *Worker) forgetObjects(j *job) {
	j.mu.Lock()
	objects, pasts := j.objects, j.pasts
	j.objects, j.pasts, j.left = nil, nil, true
	j.mu.Unlock()
	for _, o := range objects {
		w.q.broker.discard(w.q.ctx, j.place, payload{object: o.object})
	}
	for _, p := range pasts {
		w.q.broker.discard(w.q.ctx, j.place, p.payload)
	}
}

// mostBatchHeld is how large the memory of a batch is that the next one gets.
const mostBatchHeld = 16 << 10

// flush sends the events of the batch. The client of the broker copies the message.
func (s *sender) flush() {
	if s.msg == nil {
		s.msg = s.message()
	}
	if s.count == 0 {
		s.batch = append(s.batch, ',')
	}
	s.batch[0] = '['
	s.msg.Data = append(s.batch, ']')
	s.msg.Header.Set(headerFirst, strconv.Itoa(s.last-s.count+1))
	_ = s.w.q.broker.nc.PublishMsg(s.msg) // who misses it asks again, or learns it at the end
	s.batch, s.count, s.size = s.msg.Data[:0], 0, 0
	if cap(s.batch) > mostBatchHeld {
		s.batch, s.msg.Data = nil, nil
	}
}

// message returns a message to those who follow the run.
func (s *sender) message() *nats.Msg {
	m := nats.NewMsg(s.j.place.stored())
	m.Header.Set(headerRun, s.j.asked.run)
	m.Header.Set(headerTurn, strconv.Itoa(s.run.Request.Lease.Turn))
	m.Header.Set(headerOwner, s.run.Request.Lease.Owner)
	return m
}

// past sends what the run has done so far, because events that somebody asks for were dropped. It
// returns the number of the last event that this tells of; ended says that none can follow.
func (s *sender) past() (last int, ended bool) {
	until := s.run.Past()
	last = until.First - 1 + len(until.Events)
	if until.Status.Terminal() {
		return last, true
	}
	name := fmt.Sprintf("past-%s-%d", s.j.asked.run, last)
	p, known := s.j.lentPast(name)
	if !known {
		var err error
		p, err = s.w.q.broker.storePast(s.w.q.ctx, s.j.place, name, until, s.run.Request.Lease.Turn)
		if err != nil {
			s.w.q.config.Log.Warn("store the events of a prediction: late readers get them with the end",
				"id", s.j.entry.ID, "error", err)
			return last, false
		}
		if p.inPieces() || p.recordIn.name != "" {
			for _, old := range s.j.lendPast(name, p) {
				s.w.q.broker.discard(s.w.q.ctx, s.j.place, old.payload)
			}
		}
	}
	m := s.message()
	p.fill(m)
	_ = s.w.q.broker.nc.PublishMsg(m) // who misses it asks again
	return last, false
}
