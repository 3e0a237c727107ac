package schema

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/coggo/coggo/internal/jsonscan"
	"github.com/coggo/coggo/internal/weburl"
)

// fileName is the type of a file input in messages.
const fileName = "an http://, https:// or data: URL"

func (w *walk) string(n *node, v jsonscan.Span) {
	if w.raw[v.Start] != '"' {
		w.refuse(n, v, "string_type", "must be "+n.name())
		return
	}
	if n.file {
		w.file(n, v)
		return
	}
	if n.minLength == nil && n.maxLength == nil && n.pattern == nil && n.enum == nil {
		return
	}
	plain := jsonscan.Unquote(w.text(v))
	w.choice(n, v, `"`+plain)
	w.length(n, plain)
	w.match(n, v, plain)
}

func (w *walk) length(n *node, plain string) {
	if n.minLength == nil && n.maxLength == nil {
		return
	}
	count := utf8.RuneCountInString(plain)
	if n.minLength != nil && count < *n.minLength {
		least := plural(*n.minLength, "character")
		w.add("string_too_short", fmt.Sprintf("must have at least %s; got %d", least, count))
	}
	if n.maxLength != nil && count > *n.maxLength {
		most := plural(*n.maxLength, "character")
		w.add("string_too_long", fmt.Sprintf("must have at most %s; got %d", most, count))
	}
}

func (w *walk) match(n *node, v jsonscan.Span, plain string) {
	if n.pattern == nil {
		return
	}
	found, err := w.search(n.pattern, plain)
	switch {
	case err != nil:
		w.add("string_pattern_timeout", err.Error())
	case !found:
		w.refuse(n, v, "string_pattern_mismatch", "must match the pattern "+n.pattern.source)
	}
}

// search fails if all patterns of this input together have taken too long.
func (w *walk) search(p *pattern, plain string) (bool, error) {
	var found bool
	var err error
	if w.matching < patternTime {
		start := time.Now()
		found, err = p.compiled.MatchString(plain)
		w.matching += time.Since(start)
	}
	if w.matching >= patternTime || err != nil {
		return false, fmt.Errorf("takes too long to match against the pattern %s", p.source)
	}
	return found, nil
}

// maxFileText is the length in bytes up to which Checked.Input keeps the URL of a file. The runner
// reads the file and not the URL, so it does not need megabytes of data: URL.
const maxFileText = 4096

func (w *walk) file(n *node, v jsonscan.Span) {
	address := jsonscan.Unquote(w.text(v))
	if err := checkFileURL(address); err != nil {
		w.refuse(n, v, "url_parsing", err.Error())
		return
	}
	if !w.manyFiles() {
		w.files = append(w.files, FileInput{pointer(w.path), address})
	}
	if len(address) > maxFileText {
		w.change(v, `"data:"`)
	}
}

var errNoFileURL = errors.New("must be " + fileName)

// checkFileURL returns an error unless the server can turn the URL into a file.
func checkFileURL(text string) error {
	if scheme, rest, _ := strings.Cut(text, ":"); strings.EqualFold(scheme, "data") {
		if !strings.Contains(rest, ",") {
			return errNoFileURL
		}
		return nil
	}
	_, err := weburl.Parse(text)
	if errors.Is(err, weburl.ErrNotWeb) {
		return errNoFileURL
	}
	return err
}

// pointer returns the JSON pointer of a path.
func pointer(path []step) string {
	var out strings.Builder
	for _, s := range path {
		out.WriteByte('/')
		if s.inArray {
			out.WriteString(strconv.Itoa(s.index))
		} else {
			out.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(s.key))
		}
	}
	return out.String()
}

func (w *walk) integer(n *node, v jsonscan.Span, r rule) {
	literal := w.text(v)
	whole := w.view(v)
	if !isNumber(literal[0]) || bytes.ContainsAny(literal, ".eE") {
		var problem string
		if whole, problem = integerText(literal, r); problem != "" {
			w.refuse(n, v, problem, "must be an integer")
			return
		}
		w.change(v, whole)
	}
	w.choice(n, v, whole)
	w.limits(n, v, func(b *bound) int { return b.compareInteger(whole) })
	if n.multipleOf != nil && !n.multipleOf.dividesInteger(whole) {
		w.refuse(n, v, "multiple_of", "must be a multiple of "+n.multipleOf.text)
	}
}

func (w *walk) limits(n *node, v jsonscan.Span, compare func(*bound) int) {
	for _, l := range n.limits {
		if kind, msg := l.broken(compare(l.bound)); kind != "" {
			w.refuse(n, v, kind, msg)
		}
	}
}

// isNumber reports whether a JSON value that starts with c is a number.
func isNumber(c byte) bool { return c == '-' || jsonscan.IsDigit(c) }

// integerText returns the integer that a literal in another spelling means, or the type of the
// problem.
func integerText(literal []byte, r rule) (whole, problem string) {
	source := string(literal)
	switch c := literal[0]; {
	case c == '"' && r == lenient:
		if source = jsonscan.Unquote(literal); strings.ContainsAny(source, "eE") {
			return "", "int_parsing"
		}
		problem = "int_parsing"
	case isNumber(c) && r >= numeric:
		problem = "int_from_float"
	default:
		return "", "int_type"
	}
	if d, ok := parseDecimal(source); ok {
		if whole, ok := d.integer(); ok {
			return whole, ""
		}
	}
	return "", problem
}

func (w *walk) number(n *node, v jsonscan.Span, r rule) {
	literal, whole, problem := floatText(w.text(v), r)
	if problem != "" {
		w.refuse(n, v, problem, "must be a number")
		return
	}
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil {
		w.refuse(n, v, "finite_number", "must be a finite 64-bit float")
		return
	}
	if whole {
		w.change(jsonscan.Span{Start: v.End, End: v.End}, ".0")
	} else if literal != w.view(v) {
		w.change(v, literal)
	}
	if n.enum != nil {
		w.choice(n, v, canonical([]byte(literal)))
	}
	w.limits(n, v, func(b *bound) int { return b.compareFloat(f) })
	if n.multipleOf != nil && !n.multipleOf.dividesFloat(f) {
		w.refuse(n, v, "multiple_of", "must be a multiple of "+n.multipleOf.text)
	}
}

// longestFloat bounds the bytes of a float in quotes.
const longestFloat = 64 << 10

// floatText returns the text of a float; whole means that it does not have a fraction yet.
func floatText(literal []byte, r rule) (text string, whole bool, problem string) {
	switch c := literal[0]; {
	case c == '"' && r == lenient:
		if len(literal) > longestFloat {
			return "", false, "float_parsing"
		}
		if d, ok := parseDecimal(jsonscan.Unquote(literal)); ok {
			return d.float(), false, ""
		}
		return "", false, "float_parsing"
	case !isNumber(c):
		return "", false, "float_type"
	case bytes.ContainsAny(literal, ".eE"):
		return jsonscan.View(literal), false, ""
	case r == exact:
		return "", false, "float_type"
	default:
		return jsonscan.View(literal), true, ""
	}
}

func (w *walk) boolean(n *node, v jsonscan.Span, r rule) {
	var value, problem string
	switch c := w.raw[v.Start]; {
	case c == 't' || c == 'f':
		w.choice(n, v, w.view(v))
		return
	case r < lenient || c == '[' || c == '{' || c == 'n':
		problem = "bool_type"
	case c == '"':
		word := clip(jsonscan.Unquote(w.text(v)), maxShown)
		value, problem = truth[strings.ToLower(strings.TrimSpace(word))], "bool_parsing"
	default:
		value, problem = truth[canonical(w.text(v))], "bool_parsing"
	}
	if value == "" {
		w.refuse(n, v, problem, "must be a boolean")
		return
	}
	w.change(v, value)
	w.choice(n, v, value)
}

// truth has the words for a boolean.
var truth = map[string]string{
	"true": "true", "t": "true", "yes": "true", "y": "true", "on": "true", "1": "true",
	"false": "false", "f": "false", "no": "false", "n": "false", "off": "false", "0": "false",
}
