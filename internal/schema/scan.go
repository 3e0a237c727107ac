package schema

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds the nesting of an input. The runner's interpreter refuses about 1,000 levels with an exception in the
// middle of reading a request, so the edge must refuse fewer, with a margin for the request around the input.
const maxDepth = 256

// maxDigits is how many digits Python turns into an int (sys.int_info.default_max_str_digits).
const maxDigits = 4300

// span is a part of the text: text[start:end].
type span struct{ start, end int }

// member is one pair of an object. flaw is what the runner could not take in the pair, although its syntax is right.
type member struct {
	key   span // with its quotes
	value span
	flaw  *flaw
}

// flaw is a value that is valid JSON by its syntax and still has no meaning for the runner.
type flaw struct{ msg, kind string }

var (
	notUnicode = &flaw{"contains text that is not valid Unicode (a broken UTF-8 sequence or half a surrogate pair)", "string_unicode"}
	tooLong    = &flaw{fmt.Sprintf("contains an integer of more than %d digits", maxDigits), "int_parsing_size"}
	notFinite  = &flaw{"contains a number that is too large for a 64-bit float", "finite_number"}
)

// scanner checks JSON text from front to back and tells where its parts are; it builds no values.
type scanner struct {
	text  []byte
	pos   int
	depth int
	flaw  *flaw // the first one since it was last reset
}

func (s *scanner) space() {
	for s.pos < len(s.text) && (s.text[s.pos] == ' ' || s.text[s.pos] == '\n' || s.text[s.pos] == '\t' || s.text[s.pos] == '\r') {
		s.pos++
	}
}

// peek returns the byte in hand, 0 at the end (which no token starts with).
func (s *scanner) peek() byte {
	if s.pos < len(s.text) {
		return s.text[s.pos]
	}
	return 0
}

func (s *scanner) unexpected() error {
	if s.pos >= len(s.text) {
		return fmt.Errorf("it ends too early, at byte %d", len(s.text))
	}
	return fmt.Errorf("unexpected %q at byte %d", rune(s.text[s.pos]), s.pos)
}

// value passes over one value and the space before it.
func (s *scanner) value() (span, error) {
	s.space()
	start := s.pos
	var err error
	switch c := s.peek(); {
	case c == '"':
		err = s.str()
	case c == '{':
		err = s.object(nil)
	case c == '[':
		err = s.array(nil)
	case c == '-' || isDigit(c):
		err = s.number()
	default:
		err = s.word()
	}
	return span{start, s.pos}, err
}

func (s *scanner) word() error {
	for _, w := range []string{"true", "false", "null"} {
		if bytes.HasPrefix(s.text[s.pos:], []byte(w)) {
			s.pos += len(w)
			return nil
		}
	}
	return s.unexpected()
}

// object passes over an object and shows each of its pairs to visit, which may be nil.
func (s *scanner) object(visit func(member)) error {
	return s.list('}', func() error {
		s.space()
		outer := s.flaw
		s.flaw = nil
		m := member{key: span{start: s.pos}}
		if s.peek() != '"' {
			return s.unexpected()
		}
		if err := s.str(); err != nil {
			return err
		}
		m.key.end = s.pos
		if s.space(); s.peek() != ':' {
			return s.unexpected()
		}
		s.pos++
		var err error
		m.value, err = s.value()
		m.flaw = s.flaw
		if outer != nil {
			s.flaw = outer
		}
		if err == nil && visit != nil {
			visit(m)
		}
		return err
	})
}

// array passes over an array and shows each of its items to visit, which may be nil.
func (s *scanner) array(visit func(span)) error {
	return s.list(']', func() error {
		v, err := s.value()
		if err == nil && visit != nil {
			visit(v)
		}
		return err
	})
}

// list reads what objects and arrays share: brackets, commas and a level of depth.
func (s *scanner) list(closing byte, element func() error) error {
	if s.depth == maxDepth {
		return fmt.Errorf("it is nested more than %d levels deep", maxDepth)
	}
	s.depth++
	s.pos++
	if s.space(); s.peek() == closing {
		s.pos++
		s.depth--
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		s.space()
		switch s.peek() {
		case ',':
			s.pos++
		case closing:
			s.pos++
			s.depth--
			return nil
		default:
			return s.unexpected()
		}
	}
}

func (s *scanner) number() error {
	start := s.pos
	if s.peek() == '-' {
		s.pos++
	}
	digits := s.pos
	if s.peek() == '0' {
		s.pos++
	} else if !s.digits() {
		return s.unexpected()
	}
	whole := s.pos
	if s.peek() == '.' {
		s.pos++
		if !s.digits() {
			return s.unexpected()
		}
	}
	if s.peek()|0x20 == 'e' {
		s.pos++
		if s.peek() == '+' || s.peek() == '-' {
			s.pos++
		}
		if !s.digits() {
			return s.unexpected()
		}
	}
	if whole == s.pos && whole-digits > maxDigits {
		s.note(tooLong)
	} else if whole < s.pos && !finite(s.text[start:s.pos]) {
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

func (s *scanner) digits() bool {
	start := s.pos
	for isDigit(s.peek()) {
		s.pos++
	}
	return s.pos > start
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func (s *scanner) note(f *flaw) {
	if s.flaw == nil {
		s.flaw = f
	}
}

func (s *scanner) str() error {
	s.pos++
	for {
		s.pos += plainRun(s.text[s.pos:])
		switch c := s.peek(); {
		case c == '"':
			s.pos++
			return nil
		case c == '\\':
			if err := s.escape(); err != nil {
				return err
			}
		case c < 0x20:
			return s.unexpected()
		default:
			r, size := utf8.DecodeRune(s.text[s.pos:])
			if r == utf8.RuneError && size == 1 {
				s.note(notUnicode)
			}
			s.pos += size
		}
	}
}

func (s *scanner) escape() error {
	s.pos++
	switch s.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.pos++
		return nil
	case 'u':
		r, size := unicodeEscape(s.text[s.pos-1:])
		if size == 0 {
			return s.unexpected()
		}
		if r == utf8.RuneError && utf16.IsSurrogate(hex4(s.text[s.pos+1:])) {
			s.note(notUnicode)
		}
		s.pos += size - 1
		return nil
	default:
		return s.unexpected()
	}
}

// plainRun returns the length of the longest prefix of text without quotes, backslashes, control characters and
// non-ASCII bytes. Eight bytes at a time: a data URL of 16 MiB is the input that this is for.
func plainRun(text []byte) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(text); i += 8 {
		x := binary.LittleEndian.Uint64(text[i:])
		control, quote, backslash := x-ones*0x20, (x^ones*'"')-ones, (x^ones*'\\')-ones
		if (x|control|quote|backslash)&highs != 0 {
			break
		}
	}
	for i < len(text) && 0x20 <= text[i] && text[i] < utf8.RuneSelf && text[i] != '"' && text[i] != '\\' {
		i++
	}
	return i
}
