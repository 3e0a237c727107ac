package main

import (
	"fmt"
	"os"

	"github.com/coggo/coggo/internal/host"
)

// readSecrets reads the credentials from files and the environment.
func (c *Serving) readSecrets() (err error) {
	c.AuthToken, err = host.ReadSecret("$COGGO_AUTH_TOKEN", os.Getenv("COGGO_AUTH_TOKEN"))
	if err != nil {
		return err
	}
	if c.AuthTokenFile != "" {
		data, err := os.ReadFile(c.AuthTokenFile)
		if err != nil {
			return fmt.Errorf("read --auth-token-file: %w", err)
		}
		c.AuthToken, err = host.ReadSecret("--auth-token-file "+c.AuthTokenFile, string(data))
		if err != nil {
			return err
		}
		if c.AuthToken == "" {
			return fmt.Errorf("--auth-token-file %s is empty", c.AuthTokenFile)
		}
	}
	c.HookToken, err = host.ReadSecret("$WEBHOOK_AUTH_TOKEN", os.Getenv("WEBHOOK_AUTH_TOKEN"))
	if err != nil {
		return err
	}
	c.WebhookSecret, err = host.ReadSecret("--webhook-secret", c.WebhookSecret)
	return err
}
