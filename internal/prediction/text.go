package prediction

import (
	"io"
	"unicode/utf8"
)

// pieceBytes is the number of bytes of a large text that are escaped and written at a time.
const pieceBytes = 32 << 10

// AppendString appends s as a JSON string.
func AppendString(dst []byte, s string) []byte {
	if plain(s) {
		dst = append(dst, '"')
		dst = append(dst, s...)
		return append(dst, '"')
	}
	var e escaper
	return append(e.append(append(dst, '"'), []byte(s)), '"')
}

// plain reports whether s needs no escapes. That is the common case, and worth a scan.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// escaper escapes text for a JSON string. The text may come in pieces. A run of bytes that are not
// UTF-8 becomes one U+FFFD.
type escaper struct{ broken bool } // the text so far ends with such a run

func (e *escaper) append(dst, text []byte) []byte {
	from := 0
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			e.broken = false
			if i++; c >= 0x20 && c != '"' && c != '\\' {
				continue
			}
			dst = appendEscape(append(dst, text[from:i-1]...), c)
			from = i
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		broken := r == utf8.RuneError && size == 1
		if broken || r == '\u2028' || r == '\u2029' { // U+2028 and U+2029 end lines in JavaScript
			dst = append(dst, text[from:i]...)
			switch {
			case !broken:
				dst = append(dst, `\u202`...)
				dst = append(dst, hexDigits[r&0xf])
			case !e.broken:
				dst = append(dst, "\uFFFD"...)
			}
			from = i + size
		}
		e.broken = broken
		i += size
	}
	return append(dst, text[from:]...)
}

const hexDigits = "0123456789abcdef"

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '\n':
		return append(dst, '\\', 'n')
	case '"', '\\':
		return append(dst, '\\', c)
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
}

// piece returns the length of the next piece of text. A piece does not end inside a rune.
func piece(text []byte) int {
	if len(text) <= pieceBytes {
		return len(text)
	}
	for n := pieceBytes; n > pieceBytes-utf8.UTFMax; n-- {
		if utf8.RuneStart(text[n]) {
			return n
		}
	}
	return pieceBytes
}

// writeString writes text as a JSON string, piece by piece.
func writeString(w io.Writer, text []byte) error {
	var e escaper
	buf := append(make([]byte, 0, min(len(text), pieceBytes)+pieceBytes/4+2), '"')
	for len(text) > 0 {
		n := piece(text)
		if buf, text = e.append(buf, text[:n]), text[n:]; len(text) == 0 {
			break
		}
		if _, err := w.Write(buf); err != nil {
			return err
		}
		buf = buf[:0]
	}
	_, err := w.Write(append(buf, '"'))
	return err
}

// stringLen returns the number of bytes that writeString writes.
func stringLen(text []byte) int {
	var n count
	_ = writeString(&n, text) // a count never fails
	return int(n)
}

type count int

func (c *count) Write(p []byte) (int, error) {
	*c += count(len(p))
	return len(p), nil
}
