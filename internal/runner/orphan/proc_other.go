//go:build !linux

package orphan

// Adopt does nothing, because only Linux has subreapers.
func Adopt() {}

// Bequeath does nothing, because List could not see a limit.
func Bequeath(Mark) (undo func()) { return func() {} }

// List returns nothing, because only Linux has this /proc.
func List() []Entry { return nil }

func (Entry) has(Mark) bool { return false }

func (Entry) kill() {}
