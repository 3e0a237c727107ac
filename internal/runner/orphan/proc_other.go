//go:build !linux

package orphan

// Adopt does nothing: there are no subreapers here.
func Adopt() {}

// Bequeath does nothing: there is no limit here that could be looked at.
func Bequeath(Mark) (undo func()) { return func() {} }

// List shows nothing: there is no /proc here.
func List() []Entry { return nil }

func (Entry) has(Mark) bool { return false }

func (Entry) kill() {}
