package pool_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/coggo/coggo/internal/pool"
)

func TestWhoeverLeavesTheQueueTheOthersKeepTheirOrder(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	p := ready(pool.Limits{Queue: 1000}, 1)
	running := predict("first")
	slot := admit(t, p, running).Grant.Slot
	var want []*member
	for n := range 400 {
		m := predict(fmt.Sprint(n))
		admit(t, p, m)
		want = append(want, m)
		if n%3 == 0 {
			at := dice.IntN(len(want))
			p.Withdraw(want[at])
			p.Forget(want[at])
			want = slices.Delete(want, at, at+1)
		}
	}
	for _, m := range want {
		if p.Waiting() == 0 {
			t.Fatal("nobody waits")
		}
		grants := p.Finish(running, slot, start).Grants
		if granted(grants) != m.id+"@0" {
			t.Fatalf("granted %s, want %s", granted(grants), m.id)
		}
		running, slot = m, grants[0].Slot
	}
	if p.Waiting() != 0 {
		t.Errorf("%d wait", p.Waiting())
	}
}

func TestTheMemoryOfThoseThatLeftIsFree(t *testing.T) {
	p := ready(pool.Limits{PatientQueue: 10, PatientBytes: 100}, 1)
	admit(t, p, predict("running"))
	patient := func(id string) *member {
		m := predict(id)
		m.patient, m.size = true, 60
		return m
	}
	first := patient("first")
	admit(t, p, first)
	if _, err := p.Admit(patient("second"), nil, start); err == nil {
		t.Fatal("120 bytes wait")
	}
	first.size = 10 // it counts as what it was
	p.Withdraw(first)
	admit(t, p, patient("third"))
	if _, err := p.Admit(patient("fourth"), nil, start); err == nil {
		t.Error("120 bytes wait")
	}
}

func TestMembersThatMayNotFetchAreSkippedUnseen(t *testing.T) {
	p := ready(pool.Limits{Queue: 1000, Fetching: 1}, 1)
	var all []*member
	for n := range 100 {
		m := fetching(fmt.Sprint(n))
		admit(t, p, m)
		all = append(all, m)
	}
	looks := func() (n int) {
		for _, m := range all {
			n += m.looks
		}
		return n
	}
	before := looks()
	if got := granted(p.Dispatch()); got != "" {
		t.Errorf("granted %s", got)
	}
	if n := looks() - before; n > 2 {
		t.Errorf("%d looks at 98 members that wait", n)
	}
	p.Requeue(predict("behind them"))
	if got := granted(p.Dispatch()); got != "behind them@0" {
		t.Errorf("granted %s", got)
	}
}

// BenchmarkMany is one of many members that wait: its admission, its slot, its end, and the end of
// the oldest one that is retained.
func BenchmarkMany(b *testing.B) {
	for _, waiting := range []int{10, 100_000} {
		b.Run(fmt.Sprint(waiting), func(b *testing.B) {
			p := ready(pool.Limits{
				Queue: 1 << 30, Retain: waiting, RetainBytes: 1 << 30, RetainFor: time.Hour,
			}, 1)
			next := 0
			admitNext := func() pool.Admission[*member] {
				next++
				a, err := p.Admit(predict(fmt.Sprint(next)), nil, start)
				if err != nil {
					b.Fatal(err)
				}
				return a
			}
			grant := admitNext().Grant
			for range waiting {
				admitNext()
			}
			for b.Loop() {
				admitNext()
				grant = p.Finish(grant.Member, grant.Slot, start).Grants[0]
			}
		})
	}
}

// BenchmarkWithdraw is one of many that wait and are canceled, the latest first.
func BenchmarkWithdraw(b *testing.B) {
	p := ready(pool.Limits{Queue: 1 << 30}, 1)
	var all []*member
	for n := range 100_000 {
		m := predict(fmt.Sprint(n))
		if _, err := p.Admit(m, nil, start); err != nil {
			b.Fatal(err)
		}
		all = append(all, m)
	}
	for b.Loop() {
		m := all[len(all)-1]
		p.Withdraw(m)
		p.Requeue(m)
	}
}

// BenchmarkFetchers is a search for grants while many members wait until they may fetch, and a slot
// is free.
func BenchmarkFetchers(b *testing.B) {
	for _, waiting := range []int{10, 20_000} {
		b.Run(fmt.Sprint(waiting), func(b *testing.B) {
			p := ready(pool.Limits{Queue: 1 << 30, Fetching: 8}, 1)
			for n := range 9 + waiting {
				if _, err := p.Admit(fetching(fmt.Sprint(n)), nil, start); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				p.Dispatch()
			}
		})
	}
}

// BenchmarkPage is the first page of many.
func BenchmarkPage(b *testing.B) {
	var all []*member
	for n := range 10_000 {
		m := predict(fmt.Sprint(n))
		m.accepted = at(n * 7919 % 10_000)
		all = append(all, m)
	}
	for b.Loop() {
		pool.Page(slices.Clone(all), pool.Cursor{}, 100)
	}
}
