// Package admission checks whether a request fits the model. It checks the input against the
// model's schema within a bound on memory, and fills in the parts of a request that the server
// decides. It does no I/O.
package admission

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/coggo/coggo/internal/pool"
	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/schema"
)

// smallInput is the size up to which a Checker does not count an input: to count it would cost more
// than the input itself.
const smallInput = 64 << 10

// Checker bounds the memory of the inputs that are being checked. Each takes a few times its size.
type Checker struct {
	most int64 // bytes of inputs at once, 0: no limit; a larger one is checked alone
	room *semaphore.Weighted
}

// NewChecker returns a Checker that checks at most this many bytes of inputs at once. 0 means no
// limit.
func NewChecker(most int64) Checker { return Checker{most, semaphore.NewWeighted(most)} }

// Input returns the part of a model's document that describes the input of a method. It returns a
// *prediction.Error with code NotFound for a method that the model does not have.
func Input(doc *schema.Document, m prediction.Method) (*schema.Input, error) {
	if m != prediction.Train {
		return doc.Predict(), nil
	}
	if in := doc.Train(); in != nil {
		return in, nil
	}
	return nil, prediction.Refuse(prediction.NotFound, "this model has no train")
}

// Admit checks a request against the schema of its input. It fills in its id, its time, and its
// input as clients see it. For room to check a large input it waits until wait is over. The error
// is a *prediction.Error with code Invalid or NotReady; r is unchanged then.
func (c Checker) Admit(
	input *schema.Input, r *prediction.Request, wait time.Duration, now time.Time,
) (schema.Checked, error) {
	if problem, found := misplaced(input, r.Strays); found {
		return schema.Checked{}, prediction.InvalidRequest(problem)
	}
	checked, problems, err := c.Check(input, r.Input, wait)
	if err != nil {
		return checked, err
	}
	if len(problems) > 0 {
		return checked, prediction.InvalidRequest(convert(problems)...)
	}
	r.Strays = nil
	if r.ID == "" {
		r.ID = prediction.NewID()
	}
	if r.CreatedAt == "" {
		r.CreatedAt = prediction.Time(now)
	}
	r.MaskedInput = checked.MaskedInput
	return checked, nil
}

// Check checks an input once there is room for it. It waits until wait is over; 0 is no limit.
func (c Checker) Check(
	input *schema.Input, raw json.RawMessage, wait time.Duration,
) (schema.Checked, []schema.Problem, error) {
	if len(raw) > smallInput {
		weight := min(int64(len(raw)), c.most)
		ctx := context.Background()
		if wait > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, wait)
			defer cancel()
		}
		if c.room.Acquire(ctx, weight) != nil {
			return schema.Checked{}, nil, prediction.RefuseFor(
				pool.RetrySoon, prediction.NotReady,
				"too many large inputs are being checked at once; try again later")
		}
		defer c.room.Release(weight)
	}
	checked, problems := input.Check(raw)
	return checked, problems, nil
}

// misplaced finds inputs that are outside of "input". Without it they would be ignored, and the
// model would run with its defaults.
func misplaced(input *schema.Input, strays []string) (p prediction.Problem, found bool) {
	p = prediction.Problem{Loc: []any{"body", "input"}, Type: "missing"}
	for _, name := range strays {
		if input.Has(name) {
			p.Msg = fmt.Sprintf(
				`Field required: put the inputs under "input", as in {"input": {%q: …}}`, name)
			return p, true
		}
	}
	for _, name := range strays {
		if typo := strings.ToLower(name); typo == "input" || typo == "inputs" {
			p.Msg = fmt.Sprintf(`Field required: the inputs belong under "input", not %q`, name)
			return p, true
		}
	}
	return p, false
}

func convert(problems []schema.Problem) []prediction.Problem {
	out := make([]prediction.Problem, len(problems))
	for i, p := range problems {
		out[i] = prediction.Problem(p)
	}
	return out
}
