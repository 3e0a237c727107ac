// Package jsonscan finds the parts of JSON text without decoding them.
package jsonscan

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxDigits is how many digits Python turns into an int (sys.int_info.default_max_str_digits).
const MaxDigits = 4300

// Span is a part of the text: Text[Start:End].
type Span struct{ Start, End int }

// Member is one pair of an object. Flaw is what the runner could not take in the pair, although its
// syntax is right.
type Member struct {
	Key   Span // with its quotes
	Value Span
	Flaw  *Flaw // nil when there is none
}

// Flaw is a value that is valid JSON by its syntax and still has no meaning for the runner.
type Flaw struct{ Msg, Kind string }

// NotUnicode is the flaw of text that is none.
var NotUnicode = &Flaw{"contains text that is not valid Unicode (a broken UTF-8 sequence or half a surrogate pair)", "string_unicode"}

var (
	tooLong   = &Flaw{fmt.Sprintf("contains an integer of more than %d digits", MaxDigits), "int_parsing_size"}
	notFinite = &Flaw{"contains a number that is too large for a 64-bit float", "finite_number"}
)

// Scanner checks JSON text from front to back and tells where its parts are; it builds no values.
type Scanner struct {
	Text     []byte
	Pos      int // of the byte in hand
	MaxDepth int // containers within each other that are too many

	depth int
	flaw  *Flaw // since it was last reset, see note
}

// Space passes over white space.
func (s *Scanner) Space() {
	for s.Pos < len(s.Text) && (s.Text[s.Pos] == ' ' || s.Text[s.Pos] == '\n' || s.Text[s.Pos] == '\t' || s.Text[s.Pos] == '\r') {
		s.Pos++
	}
}

// Peek returns the byte in hand, 0 at the end (which no token starts with).
func (s *Scanner) Peek() byte {
	if s.Pos < len(s.Text) {
		return s.Text[s.Pos]
	}
	return 0
}

// Unexpected is an error that names the byte in hand.
func (s *Scanner) Unexpected() error {
	if s.Pos >= len(s.Text) {
		return fmt.Errorf("it ends too early, at byte %d", len(s.Text))
	}
	return fmt.Errorf("unexpected %q at byte %d", rune(s.Text[s.Pos]), s.Pos)
}

// Value passes over one value and the space before it.
func (s *Scanner) Value() (Span, error) {
	s.Space()
	start := s.Pos
	var err error
	switch c := s.Peek(); {
	case c == '"':
		err = s.str()
	case c == '{':
		err = s.Object(nil)
	case c == '[':
		err = s.Array(nil)
	case c == '-' || IsDigit(c):
		err = s.number()
	default:
		err = s.word()
	}
	return Span{start, s.Pos}, err
}

func (s *Scanner) word() error {
	for _, w := range []string{"true", "false", "null"} {
		if bytes.HasPrefix(s.Text[s.Pos:], []byte(w)) {
			s.Pos += len(w)
			return nil
		}
	}
	return s.Unexpected()
}

// Object passes over an object and shows each of its pairs to visit, which may be nil.
func (s *Scanner) Object(visit func(Member)) error {
	return s.list('}', func() error {
		s.Space()
		outer := s.flaw
		s.flaw = nil
		m := Member{Key: Span{Start: s.Pos}}
		if s.Peek() != '"' {
			return s.Unexpected()
		}
		if err := s.str(); err != nil {
			return err
		}
		m.Key.End = s.Pos
		if s.Space(); s.Peek() != ':' {
			return s.Unexpected()
		}
		s.Pos++
		var err error
		m.Value, err = s.Value()
		m.Flaw, s.flaw = s.flaw, outer
		if m.Flaw != nil {
			s.note(m.Flaw)
		}
		if err == nil && visit != nil {
			visit(m)
		}
		return err
	})
}

// Array passes over an array and shows each of its items to visit, which may be nil.
func (s *Scanner) Array(visit func(Span)) error {
	return s.list(']', func() error {
		v, err := s.Value()
		if err == nil && visit != nil {
			visit(v)
		}
		return err
	})
}

// list reads what objects and arrays share: brackets, commas and a level of depth.
func (s *Scanner) list(closing byte, element func() error) error {
	if s.depth == s.MaxDepth {
		return fmt.Errorf("it is nested more than %d levels deep", s.MaxDepth)
	}
	s.depth++
	s.Pos++
	if s.Space(); s.Peek() == closing {
		s.Pos++
		s.depth--
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		s.Space()
		switch s.Peek() {
		case ',':
			s.Pos++
		case closing:
			s.Pos++
			s.depth--
			return nil
		default:
			return s.Unexpected()
		}
	}
}

func (s *Scanner) number() error {
	start := s.Pos
	if s.Peek() == '-' {
		s.Pos++
	}
	digits := s.Pos
	if s.Peek() == '0' {
		s.Pos++
	} else if !s.digits() {
		return s.Unexpected()
	}
	whole := s.Pos
	if s.Peek() == '.' {
		s.Pos++
		if !s.digits() {
			return s.Unexpected()
		}
	}
	if s.Peek()|0x20 == 'e' {
		s.Pos++
		if s.Peek() == '+' || s.Peek() == '-' {
			s.Pos++
		}
		if !s.digits() {
			return s.Unexpected()
		}
	}
	if whole == s.Pos && whole-digits > MaxDigits {
		s.note(tooLong)
	} else if whole < s.Pos && !finite(s.Text[start:s.Pos]) {
		s.note(notFinite)
	}
	return nil
}

// finite reports whether a literal stays below infinity in a float64.
func finite(literal []byte) bool {
	if len(literal) < 300 && bytes.IndexByte(literal, 'e') < 0 && bytes.IndexByte(literal, 'E') < 0 {
		return true
	}
	_, err := strconv.ParseFloat(string(literal), 64)
	return err == nil
}

func (s *Scanner) digits() bool {
	start := s.Pos
	for IsDigit(s.Peek()) {
		s.Pos++
	}
	return s.Pos > start
}

// IsDigit reports whether c is 0 to 9.
func IsDigit(c byte) bool { return '0' <= c && c <= '9' }

// note keeps the first flaw, but text that is none before any other: it can't even be shown.
func (s *Scanner) note(f *Flaw) {
	if s.flaw == nil || f == NotUnicode {
		s.flaw = f
	}
}

func (s *Scanner) str() error {
	s.Pos++
	for {
		s.Pos += plainRun(s.Text[s.Pos:])
		switch c := s.Peek(); {
		case c == '"':
			s.Pos++
			return nil
		case c == '\\':
			if err := s.escape(); err != nil {
				return err
			}
		case c < 0x20:
			return s.Unexpected()
		default:
			r, size := utf8.DecodeRune(s.Text[s.Pos:])
			if r == utf8.RuneError && size == 1 {
				s.note(NotUnicode)
			}
			s.Pos += size
		}
	}
}

func (s *Scanner) escape() error {
	s.Pos++
	switch s.Peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.Pos++
		return nil
	case 'u':
		r, size := unicodeEscape(s.Text[s.Pos-1:])
		if size == 0 {
			return s.Unexpected()
		}
		if r == utf8.RuneError && utf16.IsSurrogate(hex4(s.Text[s.Pos+1:])) {
			s.note(NotUnicode)
		}
		s.Pos += size - 1
		return nil
	default:
		return s.Unexpected()
	}
}

// plainRun returns the length of the longest prefix of text without quotes, backslashes, control
// characters and non-ASCII bytes. 32 bytes at a time: texts and data URLs of 16 MiB are what this
// is for.
func plainRun(text []byte) int {
	const highs = 0x8080808080808080
	i := 0
	for ; i+32 <= len(text); i += 32 {
		t := text[i : i+32 : i+32]
		if (odd(t)|odd(t[8:])|odd(t[16:])|odd(t[24:]))&highs != 0 {
			break
		}
	}
	for i < len(text) && 0x20 <= text[i] && text[i] < utf8.RuneSelf && text[i] != '"' && text[i] != '\\' {
		i++
	}
	return i
}

// odd has the highest bit of a byte set where one of eight bytes ends a plain run, or where one
// before it does.
func odd(text []byte) uint64 {
	const ones = 0x0101010101010101
	x := binary.LittleEndian.Uint64(text)
	return x | (x - ones*0x20) | ((x ^ ones*'"') - ones) | ((x ^ ones*'\\') - ones)
}
