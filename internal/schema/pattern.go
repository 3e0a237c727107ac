package schema

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dlclark/regexp2"
)

// patternTime bounds all pattern matching of one input: a pattern that backtracks for ever costs
// its client an answer, not the server.
const patternTime = 500 * time.Millisecond

// pattern is a regular expression of Python's re module. It is searched for, and $ means the very
// end of the text.
type pattern struct {
	source   string
	compiled *regexp2.Regexp
}

func newPattern(source string) (*pattern, error) {
	compiled, err := regexp2.Compile(translate(source), regexp2.None)
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", source, err)
	}
	compiled.MatchTimeout = patternTime
	return &pattern{source, compiled}, nil
}

// translate rewrites what Python's regular expressions spell otherwise than those of regexp2, which
// are .NET's.
func translate(source string) string {
	var out strings.Builder
	multiline := strings.Contains(source, "(?m") || strings.Contains(source, "(?im") || strings.Contains(source, "(?sm")
	for i := 0; i < len(source); {
		rest := source[i:]
		var written string
		size := 1
		switch {
		case rest[0] == '\\' && len(rest) > 1:
			written, size = translateEscape(rest)
		case rest[0] == '[':
			written, size = translateClass(rest)
		case rest[0] == '$' && !multiline:
			written = `\z`
		case strings.HasPrefix(rest, "{,"):
			written, size = "{0,", 2
		case strings.HasPrefix(rest, "(?"):
			written, size = translateGroup(rest)
		default:
			written = rest[:1]
		}
		out.WriteString(written)
		i += size
	}
	return out.String()
}

// translateEscape rewrites the escape sequence that rest starts with and returns how much of rest
// it was.
func translateEscape(rest string) (string, int) {
	switch rest[1] {
	case 'Z':
		return `\z`, 2
	case '_':
		return "_", 2
	case 'U':
		if len(rest) >= 10 {
			if r, err := strconv.ParseUint(rest[2:10], 16, 31); err == nil {
				return string(rune(r)), 10
			}
		}
	}
	return rest[:2], 2
}

// translateClass rewrites the character class that rest starts with: a bracket inside one is a
// literal in Python.
func translateClass(rest string) (string, int) {
	i := 1
	if strings.HasPrefix(rest[i:], "^") {
		i++
	}
	if strings.HasPrefix(rest[i:], "]") {
		i++
	}
	out := rest[:i]
	for i < len(rest) {
		written, size := rest[i:i+1], 1
		switch {
		case rest[i] == ']':
			return out + "]", i + 1
		case rest[i] == '[':
			written = `\[`
		case rest[i] == '\\' && i+1 < len(rest):
			written, size = translateEscape(rest[i:])
		}
		out += written
		i += size
	}
	return out, i
}

// translateGroup rewrites the special group that rest starts with.
func translateGroup(rest string) (string, int) {
	switch {
	case strings.HasPrefix(rest, "(?P<"):
		return "(?<", 4
	case strings.HasPrefix(rest, "(?P="):
		if name, _, closed := strings.Cut(rest[4:], ")"); closed {
			return `\k<` + name + ">", 4 + len(name) + 1
		}
	case strings.HasPrefix(rest, "(?u)"):
		return "", 4
	}
	return "(?", 2
}
