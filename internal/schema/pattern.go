package schema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dlclark/regexp2"
)

// patternTime bounds all pattern matching of one input, because a pattern can backtrack for ever:
// then that client gets an error, and the server is not affected.
const patternTime = 500 * time.Millisecond

// pattern is a regular expression of Python's re module. It may match anywhere in the text, and $
// means the very end of the text.
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

// translate rewrites the syntax in which Python's regular expressions differ from those of regexp2,
// which are .NET's.
func translate(source string) string {
	var out strings.Builder
	multiline := slices.ContainsFunc([]string{"(?m", "(?im", "(?sm"}, func(flags string) bool {
		return strings.Contains(source, flags)
	})
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

// translateEscape rewrites the escape sequence at the start of rest, and returns its length in
// rest.
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

// translateClass rewrites the character class at the start of rest: in Python, a bracket inside a
// class is a literal.
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

// translateGroup rewrites the special group at the start of rest.
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
