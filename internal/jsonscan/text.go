package jsonscan

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// Unquote returns the text of a JSON string that a Scanner passed. Without escapes it is a view of
// quoted and not a copy, so that a data URL of many megabytes exists once; nobody may write to
// quoted afterwards.
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

// View is text as a string without a copy; nobody may write to text afterwards.
func View(text []byte) string { return unsafe.String(unsafe.SliceData(text), len(text)) }

// unescape reads the escape sequence that text starts with and returns its length in bytes.
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

// unicodeEscape reads \uXXXX, or a surrogate pair of two, at the start of text. Half a pair is
// utf8.RuneError; what is no such escape has the size 0.
func unicodeEscape(text []byte) (r rune, size int) {
	high := hex4(text[min(2, len(text)):])
	if high < 0 {
		return utf8.RuneError, 0
	}
	if !utf16.IsSurrogate(high) {
		return high, 6
	}
	if len(text) >= 12 && text[6] == '\\' && text[7] == 'u' {
		if pair := utf16.DecodeRune(high, hex4(text[8:])); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6
}

// hex4 reads four hexadecimal digits; -1 when there are none.
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
