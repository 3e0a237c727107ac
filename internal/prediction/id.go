package prediction

import (
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxIDBytes is the length of the longest valid id.
const MaxIDBytes = 512

// NewID returns a random id of 26 lowercase letters and digits.
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:]))
}

// ParseID checks an id; loc is its place in the request.
func ParseID(id string, loc ...any) (string, error) {
	if msg := badID(id); msg != "" {
		return "", InvalidRequest(Problem{loc, msg, "value_error"})
	}
	return id, nil
}

// badID returns the reason why id is invalid, or "".
func badID(id string) string {
	switch {
	case id == "" || len(id) > MaxIDBytes:
		return fmt.Sprintf("an id has 1 to %d bytes, this one %d", MaxIDBytes, len(id))
	case !utf8.ValidString(id):
		return "an id must be UTF-8 text"
	}
	return ""
}
