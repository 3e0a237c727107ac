//go:build !linux

package main

import "errors"

func (a account) become() error { return errors.New("--runner-user works on Linux only") }

func (a account) own(string) error { return nil }
