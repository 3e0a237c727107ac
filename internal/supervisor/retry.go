package supervisor

import (
	"time"

	"github.com/coggo/coggo/internal/prediction"
)

// When a client that was refused is to come again.

// soon is for what ends with some prediction: nobody knows when, and another server may take the
// request meanwhile.
const soon = time.Second

// mostRetry bounds what a client waits for a setup that may have ended long before.
const mostRetry = 30 * time.Second

// notReadyLocked refuses a prediction for which there is no model now.
func (s *Supervisor) notReadyLocked(status Status) error {
	return prediction.RefuseFor(s.retryLocked(status), prediction.NotReady, s.whyNotLocked(status))
}

// retryLocked is when a server in this state may take predictions, 0 for one that will not by
// itself.
func (s *Supervisor) retryLocked(status Status) time.Duration {
	switch {
	case s.ending.Err() != nil: // another server may, now or after this one
		return soon
	case status == SetupFailed || status == Defunct:
		return 0
	case status == Starting:
		return s.setupLocked()
	}
	return soon
}

// setupLocked is how much longer a setup may take, which is not known before it has ended. As long
// again as it has taken so far makes few tries of a long one, and few seconds lost after a short
// one.
func (s *Supervisor) setupLocked() time.Duration {
	after := mostRetry
	for _, w := range s.workers {
		switch {
		case w.phase == phaseStarting && !w.setup.StartedAt.IsZero():
			after = min(after, s.Now().Sub(w.setup.StartedAt))
		case w.phase == phaseStarting || w.phase == phaseEnding: // about to begin
			after = soon
		}
	}
	return max(after, soon)
}
