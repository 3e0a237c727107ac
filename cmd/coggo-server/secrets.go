package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode"
)

// readSecrets reads what proves who somebody is, from wherever it comes.
func (c *Config) readSecrets() (err error) {
	if c.AuthToken, err = secretOf("$COGGO_AUTH_TOKEN", os.Getenv("COGGO_AUTH_TOKEN")); err != nil {
		return err
	}
	if c.AuthTokenFile != "" {
		data, err := os.ReadFile(c.AuthTokenFile)
		if err != nil {
			return fmt.Errorf("read --auth-token-file: %w", err)
		}
		if c.AuthToken, err = secretOf("--auth-token-file "+c.AuthTokenFile, string(data)); err != nil {
			return err
		}
		if c.AuthToken == "" {
			return fmt.Errorf("--auth-token-file %s is empty", c.AuthTokenFile)
		}
	}
	if c.HookToken, err = secretOf("$WEBHOOK_AUTH_TOKEN", os.Getenv("WEBHOOK_AUTH_TOKEN")); err != nil {
		return err
	}
	c.UploadURL = strings.TrimSpace(c.UploadURL)
	c.WebhookSecret, err = secretOf("--webhook-secret", strings.Clone(c.WebhookSecret)) // a part of the command line is wiped
	return err
}

// secretOf takes the white space off the ends of a secret: files and manifests often add a line break. It refuses one of
// which nothing is left, because that would stand for none, and one that no header can carry.
func secretOf(source, text string) (string, error) {
	secret := strings.TrimSpace(text)
	switch {
	case secret == "" && text != "":
		return "", fmt.Errorf("%s is blank", source)
	case strings.ContainsFunc(secret, unicode.IsControl):
		return "", fmt.Errorf("%s has a line break or another control character within", source)
	}
	return secret, nil
}

// hasSecrets reports whether the server knows something that the model must not.
func (c Config) hasSecrets() bool {
	return c.AuthToken != "" || c.WebhookSecret != "" || c.HookToken != ""
}

// blank overwrites the secrets in a region of memory as the kernel has filled it at the start of a process: texts that end in
// NUL. It reports whether it has found any. In the environment they are known by their names, on the command line by value.
func blank(region []byte, value string) bool {
	found := false
	for len(region) > 0 {
		text, rest, _ := bytes.Cut(region, []byte{0})
		if name, secret, ok := bytes.Cut(text, []byte("=")); ok && (slices.Contains(secrets, string(name)) || same(secret, value)) {
			found = wipe(secret)
		} else if same(text, value) {
			found = wipe(text)
		}
		region = rest
	}
	return found
}

// same reports whether text is the secret value as it was given.
func same(text []byte, value string) bool {
	return value != "" && string(bytes.TrimSpace(text)) == value
}

func wipe(b []byte) bool {
	for i := range b {
		b[i] = '*'
	}
	return true
}
