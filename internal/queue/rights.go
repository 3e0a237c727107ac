package queue

import (
	"context"
	"fmt"
)

// The user of a worker may have rights for its own model only, as in deploy/nats/access.conf. Such
// a worker takes predictions off the queue, but it neither puts any into it, nor looks at those of
// other models, nor delivers webhooks: gateways do. Everything it reads names its model in the
// subject of the request, because that is what the broker checks.

// findRights learns whether this user may look at all models, or at one of them.
func (b *broker) findRights(ctx context.Context, model string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*attempt)
	defer cancel()
	b.probing.Store(true)
	asking, stop := context.WithTimeout(ctx, attempt)
	defer stop()
	_, err := b.state(asking, "probe")
	refused := b.refused.Swap(nil)
	b.probing.Store(false)
	if err == nil || refused == nil {
		return err
	}
	b.narrow, b.models = true, model
	if _, err := b.state(ctx, "probe"); err != nil {
		return b.explain(fmt.Sprintf("right to read what is at %s", stateIn(model, "*")), err)
	}
	b.log.Info("this worker has rights for its model only: gateways take predictions and deliver webhooks")
	return nil
}
