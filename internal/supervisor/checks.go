package supervisor

import (
	"context"
	"encoding/json"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/schema"
)

// What is checked at once, in bytes of input: to check one takes a few times its size. A larger one is checked alone, and a small
// one does not count.
const (
	checkedAtOnce = 256 << 20
	smallInput    = 64 << 10
)

// A check of a large input makes garbage, of which the collector mostly lets as much be as there is in use. Meanwhile it lets be
// tidyPercent of that: what is in use has few pointers, and costs little to look through.
const (
	largeInput  = 1 << 20
	tidyPercent = 25
)

// checks bounds the memory of the inputs that are being checked.
type checks struct {
	room *semaphore.Weighted

	mu      sync.Mutex // guards the rest
	large   int        // that are being checked
	percent int        // of garbage at other times
}

func newChecks() *checks { return &checks{room: semaphore.NewWeighted(checkedAtOnce)} }

// run checks an input once there is room for it. It waits for so long, or as long as it takes with 0.
func (c *checks) run(input *schema.Input, raw json.RawMessage, wait time.Duration) (schema.Checked, []schema.Problem, error) {
	if len(raw) > smallInput {
		weight := int64(min(len(raw), checkedAtOnce))
		ctx := context.Background()
		if wait > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, wait)
			defer cancel()
		}
		if c.room.Acquire(ctx, weight) != nil {
			return schema.Checked{}, nil, prediction.Refuse(prediction.NotReady, "too many large inputs are being checked at once; try again later")
		}
		defer c.room.Release(weight)
	}
	if len(raw) > largeInput {
		c.tidy(1)
		defer c.tidy(-1)
	}
	checked, problems := input.Check(raw)
	return checked, problems, nil
}

// tidy counts the large inputs that are being checked, and lets the collector run more often meanwhile.
func (c *checks) tidy(more int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.large
	c.large += more
	switch {
	case was == 0:
		c.percent = debug.SetGCPercent(tidyPercent)
	case c.large == 0:
		debug.SetGCPercent(c.percent)
	}
}
