// Package jsonscan finds the parts of JSON text without decoding them. A string of 16 MiB, such as
// a data URL, is neither copied nor looked at twice.
package jsonscan

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxDigits is how many digits Python turns into an int (sys.int_info.default_max_str_digits).
const MaxDigits = 4300

// Span is a part of the text: Text[Start:End].
type Span struct{ Start, End int }

// Member is one pair of an object. Flaw says what the runner cannot represent in the pair, although
// its syntax is valid.
type Member struct {
	Key   Span // with its quotes
	Value Span
	Flaw  *Flaw // nil: the runner can represent the pair
}

// Flaw describes a value whose syntax is valid, but which the runner cannot represent.
type Flaw struct{ Msg, Kind string }

// NotUnicode marks a string that is not valid Unicode.
var NotUnicode = &Flaw{
	Msg: "contains text that is not valid Unicode " +
		"(a broken UTF-8 sequence or half a surrogate pair)",
	Kind: "string_unicode",
}

var (
	tooLong = &Flaw{
		Msg:  fmt.Sprintf("contains an integer of more than %d digits", MaxDigits),
		Kind: "int_parsing_size",
	}
	notFinite = &Flaw{"contains a number that is too large for a 64-bit float", "finite_number"}
)

// Scanner checks JSON text from front to back and reports where its parts are. It builds no values.
type Scanner struct {
	Text     []byte
	Pos      int // of the current byte
	MaxDepth int // containers may be nested this deep

	depth int
	flaw  *Flaw // since it was last reset, see recordFlaw
}

// Space skips white space.
func (s *Scanner) Space() {
	for {
		switch s.Peek() {
		case ' ', '\n', '\t', '\r':
			s.Pos++
		default:
			return
		}
	}
}

// Peek returns the current byte. At the end it returns 0, with which a token cannot start.
func (s *Scanner) Peek() byte {
	if s.Pos < len(s.Text) {
		return s.Text[s.Pos]
	}
	return 0
}

// Unexpected returns an error that names the current byte.
func (s *Scanner) Unexpected() error {
	if s.Pos >= len(s.Text) {
		return fmt.Errorf("it ends too early, at byte %d", len(s.Text))
	}
	return fmt.Errorf("unexpected %q at byte %d", rune(s.Text[s.Pos]), s.Pos)
}

// Value skips one value and the space before it.
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

// Object skips an object and calls visit, unless it is nil, with each of its pairs.
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
			s.recordFlaw(m.Flaw)
		}
		if err == nil && visit != nil {
			visit(m)
		}
		return err
	})
}

// Array skips an array and calls visit, unless it is nil, with each of its items.
func (s *Scanner) Array(visit func(Span)) error {
	return s.list(']', func() error {
		v, err := s.Value()
		if err == nil && visit != nil {
			visit(v)
		}
		return err
	})
}

// list skips the parts that objects and arrays have in common: brackets, commas, a level of depth.
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
		s.recordFlaw(tooLong)
	} else if whole < s.Pos && !finite(s.Text[start:s.Pos]) {
		s.recordFlaw(notFinite)
	}
	return nil
}

// surelyFinite is a length below which a literal without an exponent fits a float64: the largest
// one has 309 digits before the point.
const surelyFinite = 300

// finite reports whether a literal stays below infinity in a float64.
func finite(literal []byte) bool {
	if len(literal) < surelyFinite && !bytes.ContainsAny(literal, "eE") {
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

// recordFlaw keeps the first flaw, except that NotUnicode always wins: such text cannot even be
// quoted in an error.
func (s *Scanner) recordFlaw(f *Flaw) {
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
		case c < firstPrintable:
			return s.Unexpected()
		default:
			r, size := utf8.DecodeRune(s.Text[s.Pos:])
			if r == utf8.RuneError && size == 1 {
				s.recordFlaw(NotUnicode)
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
			s.recordFlaw(NotUnicode)
		}
		s.Pos += size - 1
		return nil
	default:
		return s.Unexpected()
	}
}
