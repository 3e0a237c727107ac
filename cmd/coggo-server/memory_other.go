//go:build !linux

package main

// settler is worth its trouble on Linux only.
func settler(func() bool) func() { return func() {} }
