package main

import (
	"bytes"
	"os"
	"slices"
)

// hasSecrets reports whether the server knows something that the model must not.
func (c Config) hasSecrets() bool {
	return c.AuthToken != "" || c.WebhookSecret != "" || os.Getenv("WEBHOOK_AUTH_TOKEN") != ""
}

// blank overwrites the secrets in a region of memory as the kernel has filled it at the start of a process: texts that end in
// NUL. It reports whether it has found any. In the environment they are known by their names, on the command line by value.
func blank(region []byte, value string) bool {
	found := false
	for len(region) > 0 {
		text, rest, _ := bytes.Cut(region, []byte{0})
		if name, secret, ok := bytes.Cut(text, []byte("=")); ok && (slices.Contains(secrets, string(name)) || value != "" && string(secret) == value) {
			found = wipe(secret)
		} else if value != "" && string(text) == value {
			found = wipe(text)
		}
		region = rest
	}
	return found
}

func wipe(b []byte) bool {
	for i := range b {
		b[i] = '*'
	}
	return true
}
