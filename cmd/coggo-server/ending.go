package main

import (
	"log/slog"
	"time"

	"github.com/coggo/coggo/internal/supervisor"
)

// sayEnd logs the start of the shutdown. On a terminal it also says how to end it with a second
// Ctrl-C.
func sayEnd(c *console, s *supervisor.Supervisor, grace time.Duration, log *slog.Logger) {
	predictions := s.InFlight()
	log.Info("shutting down", "predictions", predictions, "grace", grace)
	if !c.terminal || predictions == 0 {
		return
	}
	noun := "predictions"
	if predictions == 1 {
		noun = "prediction"
	}
	c.say("waiting up to %s for %d %s to end; press Ctrl-C again to stop at once",
		grace, predictions, noun)
}
