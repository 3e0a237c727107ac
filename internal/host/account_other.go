//go:build !linux

package host

import "errors"

// Become fails, because it works on Linux only.
func (a Account) Become() error { return errors.New("--runner-user works on Linux only") }

// Own does nothing.
func (a Account) Own(string) error { return nil }
