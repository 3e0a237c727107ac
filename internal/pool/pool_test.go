package pool_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coggo/coggo/internal/pool"
	"github.com/coggo/coggo/internal/prediction"
)

// member is a prediction as a pool sees it.
type member struct {
	id        string
	method    prediction.Method
	size      int
	fetches   bool
	patient   bool
	recovered bool
	accepted  time.Time
	looks     int // of the pool at fetches
}

func (m *member) ID() string                { return m.id }
func (m *member) Method() prediction.Method { return m.method }
func (m *member) Size() int                 { return m.size }
func (m *member) Patient() bool             { return m.patient }
func (m *member) Recovered() bool           { return m.recovered }
func (m *member) Accepted() time.Time       { return m.accepted }

func (m *member) Fetches() bool {
	m.looks++
	return m.fetches
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func predict(id string) *member { return &member{id: id, method: prediction.Predict} }

func fetching(id string) *member {
	m := predict(id)
	m.fetches = true
	return m
}

// at is the time this many seconds after start.
func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

// ready returns a pool whose workers are ready with these numbers of slots.
func ready(limits pool.Limits, slots ...int) *pool.Pool[*member] {
	p := pool.New[*member](len(slots), limits)
	for i, n := range slots {
		p.SetReady(i, n)
	}
	return p
}

// admit admits m and fails the test if that is refused.
func admit(t *testing.T, p *pool.Pool[*member], m *member) pool.Admission[*member] {
	t.Helper()
	a, err := p.Admit(m, nil, start)
	if err != nil {
		t.Fatalf("%s: %v", m.id, err)
	}
	return a
}

// granted renders grants as "id" for leave to fetch and "id@worker" for a slot.
func granted(grants []pool.Grant[*member]) string {
	var out []string
	for _, g := range grants {
		if g.Slot.Taken() {
			out = append(out, fmt.Sprintf("%s@%d", g.Member.id, g.Slot.Worker))
		} else {
			out = append(out, g.Member.id)
		}
	}
	return strings.Join(out, " ")
}

func ids(members []*member) string {
	var out []string
	for _, m := range members {
		out = append(out, m.id)
	}
	return strings.Join(out, " ")
}

func refusal(err error) (code prediction.Code, after time.Duration) {
	if refused, ok := errors.AsType[*prediction.Error](err); ok {
		return refused.Code, refused.RetryAfter
	}
	return code, 0
}

func TestASlotGoesToTheWorkerWithTheMostFreeOnes(t *testing.T) {
	p := ready(pool.Limits{}, 1, 3)
	var got []string
	for _, id := range []string{"a", "b", "c", "d"} {
		a := admit(t, p, predict(id))
		if !a.Granted {
			t.Fatalf("%s waits", id)
		}
		got = append(got, granted([]pool.Grant[*member]{a.Grant}))
	}
	if want := []string{"a@1", "b@1", "c@0", "d@1"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if all, taken := p.Slots(); all != 4 || taken != 4 || p.Status() != pool.Busy || p.InFlight() != 4 {
		t.Error(all, taken, p.Status(), p.InFlight())
	}
	if all, taken := p.WorkerSlots(1); all != 3 || taken != 3 {
		t.Error(all, taken)
	}
}

func TestAdmissionIsRefused(t *testing.T) {
	training := &member{id: "x", method: prediction.Train}
	for name, c := range map[string]struct {
		limits pool.Limits
		before func(p *pool.Pool[*member])
		m      *member
		code   prediction.Code
		text   string
	}{
		"while the server drains": {
			before: func(p *pool.Pool[*member]) { p.Drain() },
			m:      predict("x"), code: prediction.Draining, text: "shutting down",
		},
		"without a free slot": {
			before: func(p *pool.Pool[*member]) { _, _ = p.Admit(predict("a"), nil, start) },
			m:      predict("x"), code: prediction.Busy, text: "already running as many",
		},
		"with a full queue": {
			limits: pool.Limits{Queue: 1},
			before: func(p *pool.Pool[*member]) {
				_, _ = p.Admit(predict("a"), nil, start)
				_, _ = p.Admit(predict("b"), nil, start)
			},
			m: predict("x"), code: prediction.QueueFull, text: "every place in the queue is taken",
		},
		"if too many fetch": {
			limits: pool.Limits{Fetching: -1}, // a slot is free, but none may fetch
			m:      fetching("x"), code: prediction.Busy, text: "already fetching",
		},
		"while its id runs": {
			before: func(p *pool.Pool[*member]) { _, _ = p.Admit(training, nil, start) },
			m:      predict("x"), code: prediction.Conflict, text: "a training with this id is running",
		},
		"while no worker is ready": {
			before: func(p *pool.Pool[*member]) {
				p.SetPhase(0, pool.PhaseStarting, start)
				p.Explain(0, "it is being set up")
			},
			m: predict("x"), code: prediction.NotReady, text: "it is being set up",
		},
		"after a failed setup": {
			before: func(p *pool.Pool[*member]) {
				p.SetPhase(0, pool.PhaseSetupFailed, time.Time{})
				p.Explain(0, "no weights")
			},
			m: predict("x"), code: prediction.NotReady, text: "setup failed: no weights",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := ready(c.limits, 1)
			if c.before != nil {
				c.before(p)
			}
			flying := p.InFlight()
			_, err := p.Admit(c.m, nil, start)
			if code, _ := refusal(err); code != c.code || !strings.Contains(fmt.Sprint(err), c.text) {
				t.Errorf("got %v", err)
			}
			if p.InFlight() != flying {
				t.Error("a refused member is in flight")
			}
		})
	}
}

func TestAnIdempotentRequestJoinsOrReplacesAnEarlierOne(t *testing.T) {
	always := func(*member) bool { return true }
	never := func(*member) bool { return false }
	limits := pool.Limits{Retain: 10, RetainFor: time.Hour, RetainBytes: 100}
	for name, c := range map[string]struct {
		repeats  func(*member) bool
		finished bool
		method   prediction.Method
		joined   bool
		replaced bool
		code     prediction.Code
	}{
		"a live one is joined, whatever its input":      {repeats: never, method: prediction.Predict, joined: true},
		"a live one of another method is a conflict":    {repeats: always, method: prediction.Train, code: prediction.Conflict},
		"a live one is a conflict if not idempotent":    {method: prediction.Predict, code: prediction.Conflict},
		"a finished one answers the same request":       {repeats: always, finished: true, method: prediction.Predict, joined: true},
		"a finished one is replaced by another request": {repeats: never, finished: true, method: prediction.Predict, replaced: true},
		"a finished one of another method is replaced":  {repeats: always, finished: true, method: prediction.Train, replaced: true},
		"a finished one is replaced if not idempotent":  {finished: true, method: prediction.Predict, replaced: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := ready(limits, 2)
			old := predict("x")
			a := admit(t, p, old)
			if c.finished {
				p.Finish(old, a.Grant.Slot, start)
			}
			m := &member{id: "x", method: c.method}
			got, err := p.Admit(m, c.repeats, start)
			if code, _ := refusal(err); code != c.code {
				t.Fatal(err)
			}
			if got.Joined != c.joined || got.Replaced != c.replaced {
				t.Fatalf("%+v", got)
			}
			if c.joined && got.Known != old || c.replaced && got.Previous != old {
				t.Errorf("not the earlier one: %+v", got)
			}
			if known, _ := p.Get("x"); c.replaced && known != m {
				t.Error("the new one is not registered")
			}
		})
	}
}

func TestAReplacedMemberIsNotForgottenInPlaceOfTheNewOne(t *testing.T) {
	p := ready(pool.Limits{Retain: 1, RetainFor: time.Hour, RetainBytes: 100}, 1)
	first := predict("x")
	p.Finish(first, admit(t, p, first).Grant.Slot, start)
	second := predict("x")
	slot := admit(t, p, second).Grant.Slot
	if expired := p.Expire(at(7200)); len(expired) != 0 {
		t.Errorf("a live member expired: %s", ids(expired))
	}
	p.Finish(second, slot, at(7200))
	if m, ok := p.Get("x"); !ok || m != second {
		t.Error("the second run is not retained")
	}
}

func TestTheQueueIsServedInOrder(t *testing.T) {
	p := ready(pool.Limits{Queue: 3}, 1)
	slot := admit(t, p, predict("a")).Grant.Slot
	for _, id := range []string{"b", "c", "d"} {
		if admit(t, p, predict(id)).Granted {
			t.Fatalf("%s does not wait", id)
		}
	}
	if p.Waiting() != 3 || p.InFlight() != 4 {
		t.Error(p.Waiting(), p.InFlight())
	}
	c, _ := p.Get("c")
	p.Withdraw(c)
	a, _ := p.Get("a")
	if got := granted(p.Finish(a, slot, start).Grants); got != "b@0" {
		t.Error(got)
	}
	b, _ := p.Get("b")
	if got := granted(p.Finish(b, slot, start).Grants); got != "d@0" {
		t.Error(got)
	}
}

func TestPatientMembersWaitWithinTheirBytes(t *testing.T) {
	limits := pool.Limits{PatientQueue: 3, PatientBytes: 100}
	patient := func(id string, size int) *member {
		return &member{id: id, method: prediction.Predict, patient: true, size: size}
	}
	p := ready(limits, 1)
	admit(t, p, predict("a"))
	if _, err := p.Admit(predict("b"), nil, start); err == nil {
		t.Error("an impatient member waits")
	}
	admit(t, p, patient("c", 60))
	_, err := p.Admit(patient("d", 50), nil, start)
	if code, after := refusal(err); code != prediction.QueueFull || after != time.Second {
		t.Error(err)
	}
	admit(t, p, patient("e", 40))
	admit(t, p, patient("f", 0))
	if _, err := p.Admit(patient("g", 0), nil, start); err == nil {
		t.Error("more wait than may")
	}
}

func TestAMemberFetchesWithoutASlotAndThenGoesBeforeTheQueue(t *testing.T) {
	p := ready(pool.Limits{Queue: 9, Fetching: 1}, 1)
	first, second, third := fetching("f"), fetching("g"), fetching("h")
	if a := admit(t, p, first); !a.Granted || a.Grant.Slot.Taken() {
		t.Fatalf("%+v", a)
	}
	if a := admit(t, p, second); !a.Granted || a.Grant.Slot.Taken() {
		t.Fatalf("%+v", a)
	}
	if admit(t, p, third).Granted { // one free slot and one more
		t.Fatal("too many fetch")
	}
	runs := predict("r")
	slot := admit(t, p, runs).Grant.Slot
	if !slot.Taken() {
		t.Fatal("the slot is not free while others fetch")
	}
	admit(t, p, predict("q"))
	if got := granted(p.FetchDone(second)); got != "" {
		t.Error(got)
	}
	if p.Waiting() != 3 || p.Fetching() != 1 || p.InFlight() != 5 {
		t.Error(p.Waiting(), p.Fetching(), p.InFlight())
	}
	// g has its files, so it goes before h and q, which came into the queue before that.
	if got := granted(p.Finish(runs, slot, start).Grants); got != "g@0" {
		t.Error(got)
	}
	p.FetchDone(first)
	p.Withdraw(first)
	if got := granted(p.Finish(first, pool.Slot{}, start).Grants); got != "" {
		t.Error(got)
	}
	// With the slot free, h may fetch, and q takes the slot in the meantime.
	if got := granted(p.Finish(second, slot, start).Grants); got != "h q@0" {
		t.Error(got)
	}
}

func TestAMemberThatMayNotFetchIsSkipped(t *testing.T) {
	p := ready(pool.Limits{Queue: 9, Fetching: 0}, 1)
	runs := predict("r")
	slot := admit(t, p, runs).Grant.Slot
	admit(t, p, fetching("f"))
	admit(t, p, fetching("g"))
	admit(t, p, predict("q"))
	// f fetches for the free slot, which q takes in the meantime; g would be one too many.
	if got := granted(p.Finish(runs, slot, start).Grants); got != "f q@0" {
		t.Error(got)
	}
}

func TestARecoveredMemberStepsAsideToTheFrontOfTheQueue(t *testing.T) {
	recovered := func(id string) *member {
		return &member{id: id, method: prediction.Predict, recovered: true}
	}
	p := pool.New[*member](1, pool.Limits{Fetching: 9})
	a, b, c := recovered("a"), recovered("b"), recovered("c")
	for _, m := range []*member{a, b, c} {
		p.Requeue(m)
	}
	grants := p.SetReady(0, 2)
	if got := granted(grants); got != "a@0 b@0" {
		t.Fatal(got)
	}
	p.SetPhase(0, pool.PhaseStarting, start) // so that nothing is granted for now
	for i, m := range []*member{a, b} {
		m.fetches = true
		if more, err := p.StepAside(m, grants[i].Slot, start); err != nil || len(more) != 0 {
			t.Fatal(granted(more), err)
		}
	}
	if got := granted(p.SetReady(0, 2)); got != "a b c@0" {
		t.Error(got)
	}
	p.SetPhase(0, pool.PhaseSetupFailed, time.Time{})
	p.Explain(0, "no weights")
	if _, err := p.StepAside(c, grants[1].Slot, start); err == nil || !strings.Contains(err.Error(), "no weights") {
		t.Error(err)
	}
}

func TestFinishedMembersAreRetainedWithinTheLimits(t *testing.T) {
	for name, c := range map[string]struct {
		limits  pool.Limits
		expired string // by the time that d has finished, ten seconds after c
	}{
		"everything":  {pool.Limits{Retain: 9, RetainFor: time.Hour, RetainBytes: 1000}, ""},
		"by number":   {pool.Limits{Retain: 2, RetainFor: time.Hour, RetainBytes: 1000}, "a b"},
		"by size":     {pool.Limits{Retain: 9, RetainFor: time.Hour, RetainBytes: 25}, "a b"},
		"by age":      {pool.Limits{Retain: 9, RetainFor: 10 * time.Second, RetainBytes: 1000}, "a b c"},
		"nothing":     {pool.Limits{}, ""},
		"not too big": {pool.Limits{Retain: 9, RetainFor: time.Hour, RetainBytes: 5}, "a b c d"},
	} {
		t.Run(name, func(t *testing.T) {
			p := ready(c.limits, 1)
			var expired []*member
			for i, id := range []string{"a", "b", "c", "d"} {
				m := predict(id)
				m.size = 10
				slot := admit(t, p, m).Grant.Slot
				when := at(i)
				if id == "d" {
					when = at(12)
				}
				expired = append(expired, p.Finish(m, slot, when).Expired...)
			}
			if got := ids(expired); got != c.expired {
				t.Errorf("%q expired, want %q", got, c.expired)
			}
			if p.Retains() != (c.limits.Retain > 0) {
				t.Error(p.Retains())
			}
			if _, ok := p.Get("d"); ok != (c.limits.Retain > 0 && !strings.Contains(c.expired, "d")) {
				t.Error("d", ok)
			}
			if n := len(slices.Collect(p.Live())); n != 0 {
				t.Error(n, "are live")
			}
		})
	}
}

func TestRecoveredResultsAreRetainedInPlaceOfEarlierOnes(t *testing.T) {
	p := ready(pool.Limits{Retain: 9, RetainFor: time.Hour, RetainBytes: 1000}, 1)
	first, second := predict("x"), predict("x")
	first.accepted, second.accepted = at(0), at(1)
	if _, found := p.Recover(first, true); found {
		t.Error("replaced nothing")
	}
	if old, found := p.Recover(second, true); !found || old != first {
		t.Error("the earlier one is not returned")
	}
	live := predict("y")
	p.Recover(live, false)
	if got := slices.Collect(p.Live()); len(got) != 1 || got[0] != live {
		t.Error(ids(got))
	}
	if got := ids(p.Expire(at(7200))); got != "x" {
		t.Error(got)
	}
	for range p.Live() {
		break
	}
	for range p.All() {
		break
	}
	if n := len(slices.Collect(p.All())); n != 1 {
		t.Error(n)
	}
}

func TestAForgottenMemberLeavesItsIDToOthers(t *testing.T) {
	p := pool.New[*member](1, pool.Limits{Retain: 2, RetainFor: time.Hour})
	old, other := predict("a"), predict("a")
	p.Recover(old, true)
	p.Forget(other)
	if m, ok := p.Get("a"); !ok || m != old {
		t.Error("another member with the id was forgotten")
	}
	p.Forget(old)
	if _, ok := p.Get("a"); ok {
		t.Error("it is still known")
	}
	if expired := p.Expire(start.Add(2 * time.Hour)); len(expired) != 0 {
		t.Errorf("it is retained: %v", expired)
	}
	p.Forget(old)
}

func TestAnAbandonedMemberKeepsItsSlotAndItsID(t *testing.T) {
	p := ready(pool.Limits{Queue: 9}, 2)
	stuck, other := predict("stuck"), predict("other")
	slot := admit(t, p, stuck).Grant.Slot
	admit(t, p, other)
	if p.Abandon(stuck, slot) {
		t.Fatal("the process runs another one too")
	}
	if f := p.Finish(stuck, slot, start); len(f.Abandoned) != 0 {
		t.Fatal(f.Abandoned)
	}
	if _, taken := p.Slots(); taken != 2 || p.RunningCount(0) != 1 {
		t.Error(taken, p.RunningCount(0))
	}
	_, err := p.Admit(predict("stuck"), nil, start)
	if code, _ := refusal(err); code != prediction.Conflict || !strings.Contains(err.Error(), "still running") {
		t.Error(err)
	}
	admit(t, p, predict("next"))
	if got := granted(p.Release(stuck, 0)); got != "next@0" {
		t.Error(got)
	}
}

func TestAProcessWithNothingButAbandonedMembersIsReplaced(t *testing.T) {
	p := ready(pool.Limits{Queue: 9}, 3)
	var slots []pool.Slot
	all := []*member{predict("b"), predict("a"), predict("c")}
	for _, m := range all {
		slots = append(slots, admit(t, p, m).Grant.Slot)
	}
	for i, m := range all[:2] {
		p.Abandon(m, slots[i])
		p.Finish(m, slots[i], start)
	}
	admit(t, p, predict("waits"))
	f := p.Finish(all[2], slots[2], start)
	if !slices.Equal(f.Abandoned, []string{"a", "b"}) {
		t.Error(f.Abandoned)
	}
	if p.Phase(0) != pool.PhaseEnding || len(f.Grants) != 0 {
		t.Error(p.Phase(0), granted(f.Grants))
	}
	if got := ids(p.Reap(0)); len(got) != 3 {
		t.Error(got)
	}
	if n := p.AbandonedCount(0); n != 0 {
		t.Error(n, "are still abandoned")
	}
}

func TestALoneAbandonedMemberEndsItsProcess(t *testing.T) {
	p := ready(pool.Limits{}, 1)
	m := predict("x")
	slot := admit(t, p, m).Grant.Slot
	if !p.Abandon(m, slot) || p.Phase(0) != pool.PhaseEnding {
		t.Error(p.Phase(0))
	}
	if n := len(slices.Collect(p.Running(0))); n != 1 {
		t.Error(n)
	}
}

func TestStatusAndRetryAfter(t *testing.T) {
	type worker struct {
		phase pool.Phase
		since time.Time
	}
	full, starting, about := worker{phase: pool.PhaseReady}, worker{pool.PhaseStarting, start}, worker{phase: pool.PhaseStarting}
	failed, gone, ending := worker{phase: pool.PhaseSetupFailed}, worker{phase: pool.PhaseDefunct}, worker{phase: pool.PhaseEnding}
	for name, c := range map[string]struct {
		workers []worker
		now     time.Time
		status  pool.Status
		after   time.Duration
	}{
		"ready and full":             {[]worker{full}, start, pool.Busy, time.Second},
		"full beside a failed one":   {[]worker{full, failed}, start, pool.Busy, time.Second},
		"setup for half a second":    {[]worker{starting}, start.Add(500 * time.Millisecond), pool.Starting, time.Second},
		"setup for seven seconds":    {[]worker{starting}, at(7), pool.Starting, 7 * time.Second},
		"setup for an hour":          {[]worker{starting}, at(3600), pool.Starting, 30 * time.Second},
		"setup is about to start":    {[]worker{about}, at(7), pool.Starting, time.Second},
		"a process ends":             {[]worker{ending}, at(7), pool.Starting, time.Second},
		"the shortest of two setups": {[]worker{starting, {pool.PhaseStarting, at(3)}}, at(7), pool.Starting, 4 * time.Second},
		"a failed setup":             {[]worker{failed, gone}, start, pool.SetupFailed, 0},
		"defunct":                    {[]worker{gone, gone}, start, pool.Defunct, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := pool.New[*member](len(c.workers), pool.Limits{})
			for i, w := range c.workers {
				if w.phase == pool.PhaseReady {
					p.SetReady(i, 0)
				} else {
					p.SetPhase(i, w.phase, w.since)
				}
			}
			if got := p.Status(); got != c.status || got.Accepting() != (c.status == pool.Busy) {
				t.Error(got)
			}
			if got := p.RetryAfter(c.now); got != c.after {
				t.Error(got)
			}
			if err := p.Refuses(c.now); (err == nil) != c.status.Accepting() {
				t.Error(err)
			}
			p.Drain()
			if code, _ := refusal(p.Refuses(c.now)); code != prediction.Draining {
				t.Error("while it drains:", code)
			}
			if got := p.RetryAfter(c.now); got != time.Second || !p.Draining() {
				t.Error("while it drains:", got)
			}
		})
	}
}

func TestEachWorkerHasItsOwnStatus(t *testing.T) {
	p := ready(pool.Limits{}, 1, 1)
	p.SetPhase(1, pool.PhaseDefunct, time.Time{})
	p.Explain(1, "it died")
	if p.WorkerStatus(0) != pool.Ready || p.WorkerStatus(1) != pool.Defunct || p.Reason(1) != "it died" {
		t.Error(p.WorkerStatus(0), p.WorkerStatus(1), p.Reason(1))
	}
	if all, taken := p.WorkerSlots(1); all != 0 || taken != 0 {
		t.Error(all, taken)
	}
	p.SetReady(1, 1)
	if p.Reason(1) != "" {
		t.Error("a ready worker has a reason not to be:", p.Reason(1))
	}
}

func TestMembersThatNoWorkerCanRunAreReturned(t *testing.T) {
	p := ready(pool.Limits{Queue: 9, Fetching: 1}, 1, 1)
	f := fetching("f")
	admit(t, p, f)
	for _, id := range []string{"a", "b", "q"} {
		admit(t, p, predict(id))
	}
	p.SetPhase(0, pool.PhaseDefunct, time.Time{})
	if waiting, defunct := p.Hopeless(); waiting != nil || defunct {
		t.Error("a worker is still ready:", ids(waiting), defunct)
	}
	p.SetPhase(1, pool.PhaseSetupFailed, time.Time{})
	if waiting, defunct := p.Hopeless(); ids(waiting) != "q f" || defunct {
		t.Error(ids(waiting), defunct)
	}
	p.SetPhase(1, pool.PhaseDefunct, time.Time{})
	if _, defunct := p.Hopeless(); !defunct {
		t.Error("not defunct")
	}
}

func TestPhasesHaveNames(t *testing.T) {
	for phase, name := range map[pool.Phase]string{
		pool.PhaseStarting: "starting", pool.PhaseReady: "ready", pool.PhaseEnding: "ending",
		pool.PhaseSetupFailed: "setup failed", pool.PhaseDefunct: "defunct",
	} {
		if phase.String() != name {
			t.Error(phase, name)
		}
	}
}

func TestAPageFollowsItsCursor(t *testing.T) {
	var all []*member
	for i, id := range []string{"c", "a/ö", "b", "d", "e"} {
		m := predict(id)
		m.accepted = at(i / 2 * 2) // two at a time
		all = append(all, m)
	}
	var pages []string
	after := pool.Cursor{}
	for {
		page, next := pool.Page(slices.Clone(all), after, 2)
		pages = append(pages, ids(page))
		if next == "" {
			break
		}
		var ok bool
		if after, ok = pool.ParseCursor(next); !ok {
			t.Fatal(next)
		}
	}
	if want := []string{"e b", "d a/ö", "c"}; !slices.Equal(pages, want) {
		t.Errorf("got %q, want %q", pages, want)
	}
	// The member of the cursor may be gone by then, and so may all that follow.
	page, next := pool.Page(all[:1], after, 2)
	if ids(page) != "c" || next != "" {
		t.Error(ids(page), next)
	}
	last, _ := pool.ParseCursor(cursorOf(t, "zz", at(-1)))
	if page, _ := pool.Page(all, last, 2); len(page) != 0 {
		t.Error(ids(page))
	}
}

// cursorOf is the cursor that a page ends with after a member with this id and time.
func cursorOf(t *testing.T, id string, accepted time.Time) string {
	t.Helper()
	first, second := predict(id), predict("older")
	first.accepted, second.accepted = accepted, accepted.Add(-time.Second)
	_, next := pool.Page([]*member{first, second}, pool.Cursor{}, 1)
	return next
}

func TestAnInvalidCursorIsRefused(t *testing.T) {
	for _, s := range []string{"!", "YQ", "YS4hIQ", "YS4"} {
		if c, ok := pool.ParseCursor(s); ok {
			t.Errorf("%q is %v", s, c)
		}
	}
	if c, ok := pool.ParseCursor(""); !ok || c != (pool.Cursor{}) {
		t.Error(c, ok)
	}
}
