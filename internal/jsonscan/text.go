package jsonscan

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// Unquote returns the text of a JSON string that a Scanner has skipped. Without escapes it is a
// view of quoted and not a copy, so that a data URL of many megabytes exists once. The caller must
// not write to quoted afterwards.
func Unquote(quoted []byte) string {
	text := quoted[1 : len(quoted)-1]
	escape := bytes.IndexByte(text, '\\')
	if escape < 0 {
		return View(text)
	}
	plain := make([]byte, 0, len(text))
	for ; escape >= 0; escape = bytes.IndexByte(text, '\\') {
		plain = append(plain, text[:escape]...)
		r, size := unescape(text[escape:])
		plain = utf8.AppendRune(plain, r)
		text = text[escape+size:]
	}
	plain = append(plain, text...)
	return View(plain)
}

// View returns text as a string without a copy. The caller must not write to text afterwards.
func View(text []byte) string { return unsafe.String(unsafe.SliceData(text), len(text)) }

// unescape reads the escape sequence at the start of text and returns its length in bytes.
func unescape(text []byte) (rune, int) {
	switch text[1] {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		return unicodeEscape(text)
	default:
		return rune(text[1]), 2
	}
}

// The lengths of \uXXXX, and of a surrogate pair of two.
const (
	escapeSize = len(`\uXXXX`)
	pairSize   = 2 * escapeSize
)

// unicodeEscape reads \uXXXX, or a surrogate pair of two, at the start of text. Half a pair gives
// utf8.RuneError. The size is 0 if text starts otherwise.
func unicodeEscape(text []byte) (r rune, size int) {
	high := hex4(text[min(2, len(text)):])
	if high < 0 {
		return utf8.RuneError, 0
	}
	if !utf16.IsSurrogate(high) {
		return high, escapeSize
	}
	if len(text) >= pairSize && text[escapeSize] == '\\' && text[escapeSize+1] == 'u' {
		if pair := utf16.DecodeRune(high, hex4(text[escapeSize+2:])); pair != utf8.RuneError {
			return pair, pairSize
		}
	}
	return utf8.RuneError, escapeSize
}

// hex4 reads four hexadecimal digits; -1 if text does not start with them.
func hex4(text []byte) rune {
	if len(text) < 4 {
		return -1
	}
	var r rune
	for _, c := range text[:4] {
		switch {
		case IsDigit(c):
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return r
}
