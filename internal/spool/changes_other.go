//go:build !linux

package spool

import "iter"

func (c *Changes) read(func(iter.Seq[Change])) (all bool) { return false }

// Close ends the watch.
func (c *Changes) Close() {}
