package schema

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// Model is a model that predictions can be asked of.
type Model struct {
	Name  string    // OWNER/NAME, with :VERSION if it has one
	ID    string    // of the version if it has no name; empty: what Version computes
	Since time.Time // when it was first served

	*Document // its interface
}

// Base returns the name without the version.
func (m Model) Base() string {
	base, _ := SplitName(m.Name)
	return base
}

// Version returns the id of the version: the one in the name, else one as long as Replicate's. That
// one is a hash of the name and the interface, so two fine-tunes of one model have different ids.
func (m Model) Version() string {
	_, version := SplitName(m.Name)
	switch {
	case version != "":
		return version
	case m.ID != "" || m.Document == nil:
		return m.ID
	}
	sum := sha256.Sum256([]byte(m.Name + m.Interface()))
	return hex.EncodeToString(sum[:])
}

// SplitName splits OWNER/NAME:VERSION. The version is empty if there is none.
func SplitName(name string) (base, version string) {
	if base, version, _ = strings.Cut(name, ":"); version == "" {
		return name, ""
	}
	return base, version
}
