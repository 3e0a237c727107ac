//go:build !linux

package spool

import "iter"

func (n *News) read(func(iter.Seq[New])) (all bool) { return false }

// Close ends the watch.
func (n *News) Close() {}
