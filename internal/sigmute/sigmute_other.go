//go:build !linux

// Package sigmute mutes signals on Linux. Elsewhere they are always delivered.
package sigmute

import "syscall"

// Signal is a signal that stays as it is.
type Signal struct{}

// New returns a Signal.
func New(syscall.Signal) *Signal { return &Signal{} }

// Mute does nothing.
func (*Signal) Mute(bool) {}
