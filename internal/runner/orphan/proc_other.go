//go:build !linux

package orphan

// Adopt does nothing: there are no subreapers here.
func Adopt() {}

// List shows nothing: there is no /proc here.
func List() []Entry { return nil }

// Has reports false.
func (Entry) Has(Mark) bool { return false }
