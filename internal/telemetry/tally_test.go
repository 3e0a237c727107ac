package telemetry_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coggo/coggo/internal/telemetry"
)

func TestAStormIsCountedAndEndsWithItsPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var more []int
		tally := &telemetry.Tally{Most: 2, Period: time.Minute, More: func(count int, over time.Duration) {
			more = append(more, count)
			if over > time.Minute {
				t.Errorf("counted over %s", over)
			}
		}}
		told := func(events int) (lines int) {
			for range events {
				if tally.Tell() {
					lines++
				}
			}
			return lines
		}
		for i, step := range []struct {
			events, lines int
			counted       []int
		}{
			{14, 2, []int{12}},   // the first are reported at once
			{5, 0, []int{12, 5}}, // the storm continues
			{0, 0, []int{12, 5}}, // it is over
			{3, 2, []int{12, 5, 1}},
		} {
			if lines := told(step.events); lines != step.lines {
				t.Errorf("step %d: %d lines", i, lines)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if !slices.Equal(more, step.counted) {
				t.Errorf("step %d: counted %v", i, more)
			}
		}
		told(4)
		tally.Close()
		if want := []int{12, 5, 1, 4}; !slices.Equal(more, want) {
			t.Errorf("at the end: counted %v, not %v", more, want)
		}
	})
}
