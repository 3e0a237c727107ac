package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/coggo/coggo/internal/supervisor"
)

// greet shows on a terminal how long setup takes, and then what to do with the model. The caller must call end.
func greet(c *console, s *supervisor.Supervisor, config Config, address net.Addr) (end func()) {
	done := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		stop := c.timer("setting up the model")
		defer stop()
		ticker := time.NewTicker(tick)
		defer ticker.Stop()
		for s.Status() == supervisor.Starting {
			select {
			case <-ticker.C:
			case <-done:
				return
			}
		}
		took := stop()
		if document, err := s.Schema(); err == nil && (s.Status() == supervisor.Ready || s.Status() == supervisor.Busy) {
			text := banner(config, address, signatureOf(document), s.Health(context.Background()).Max, took)
			_, _ = c.Write([]byte(text)) // nobody to tell
		}
	})
	return func() {
		close(done)
		ended.Wait()
	}
}

// banner says where the model is, what it takes, and how to try it.
func banner(c Config, address net.Addr, s signature, slots int, took time.Duration) string {
	host, port, _ := net.SplitHostPort(address.String()) // a listener's address has both
	if ip := net.ParseIP(host); ip != nil && (ip.IsUnspecified() || ip.IsLoopback()) {
		host = "localhost"
	}
	at := "http://" + net.JoinHostPort(host, port)
	many := "1 prediction at a time"
	if slots > 1 {
		many = fmt.Sprintf("%d predictions at a time", slots)
	}
	auth := ""
	if c.AuthToken != "" {
		auth = " -H \"Authorization: Bearer $COGGO_AUTH_TOKEN\""
	}
	return fmt.Sprintf(`
  Coggo %s serves %s (%s) at %s
  set up in %.1f s, %s

%s
  curl -s -X POST %s/predictions%s -H 'Content-Type: application/json' -d '{"input": %s}'

`, version, filepath.Base(c.ModelDir), c.Model.Predict, at, took.Seconds(), many, s.table("  "), at, auth, s.example())
}
