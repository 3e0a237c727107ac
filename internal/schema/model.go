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
	ID    string    // of a version without a name; empty: the hash of the interface
	Since time.Time // when it was first served

	*Document // its interface
}

// Base returns the name without the version.
func (m Model) Base() string {
	base, _ := SplitName(m.Name)
	return base
}

// Version returns the id of the version: the one in the name, else one as long as Replicate's.
func (m Model) Version() string {
	_, version := SplitName(m.Name)
	switch {
	case version != "":
		return version
	case m.ID != "" || m.Document == nil:
		return m.ID
	}
	return Hash(m.JSON())
}

// SplitName splits OWNER/NAME:VERSION. The version is empty if there is none.
func SplitName(name string) (base, version string) {
	if base, version, _ = strings.Cut(name, ":"); version == "" {
		return name, ""
	}
	return base, version
}

// Hash returns the SHA-256 of what tells a version apart, in hexadecimal.
func Hash(parts ...[]byte) string {
	sum := sha256.New()
	for _, part := range parts {
		sum.Write(part)
	}
	return hex.EncodeToString(sum.Sum(nil))
}
