package supervisor

import (
	"context"
	"encoding/json"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/coggo/coggo/internal/pool"
	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/schema"
)

// smallInput is the size up to which an input takes no room of checks: counting it would cost more
// than it does.
const smallInput = 64 << 10

// checks bounds the memory of the inputs that are being checked: each takes a few times its size.
type checks struct {
	most int64 // bytes of inputs at once, 0 for no limit; a larger input is checked alone
	room *semaphore.Weighted
}

func newChecks(most int64) checks { return checks{most, semaphore.NewWeighted(most)} }

// run checks an input once there is room for it. It waits for so long, or as long as it takes with
// 0.
func (c checks) run(input *schema.Input, raw json.RawMessage, wait time.Duration) (schema.Checked, []schema.Problem, error) {
	if len(raw) > smallInput {
		weight := min(int64(len(raw)), c.most)
		ctx := context.Background()
		if wait > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, wait)
			defer cancel()
		}
		if c.room.Acquire(ctx, weight) != nil {
			return schema.Checked{}, nil, prediction.RefuseFor(pool.RetrySoon, prediction.NotReady, "too many large inputs are being checked at once; try again later")
		}
		defer c.room.Release(weight)
	}
	checked, problems := input.Check(raw)
	return checked, problems, nil
}
