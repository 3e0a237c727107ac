package schema

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/coggo/coggo/internal/jsonscan"
)

const (
	maxProblems = 100 // listed for one input
	maxShown    = 60  // bytes of a client's value in a message
	maxKeyShown = 200 // bytes of a client's key in Problem.Loc
)

// Problem is one reason to refuse an input, in the form that the clients of Cog know. Its JSON
// never contains the value of a secret.
type Problem struct {
	Loc  []any  `json:"loc"` // "body", "input", then keys and indexes
	Msg  string `json:"msg"`
	Type string `json:"type"` // the name that pydantic 2 has for it, if it has one
}

// Place names the place of the problem for people: the name of the input and the path within its
// value, as in box.x or files.0.
func (p Problem) Place() string {
	words := make([]string, 0, len(p.Loc))
	for _, step := range p.Loc[min(2, len(p.Loc)):] { // without body and input
		words = append(words, fmt.Sprint(step))
	}
	return strings.Join(words, ".")
}

// newProblem returns a problem at a path below the input.
func newProblem(path []step, kind, msg string) Problem {
	loc := make([]any, 0, len(path)+2)
	loc = append(loc, "body", "input")
	for _, s := range path {
		if s.inArray {
			loc = append(loc, s.index)
		} else {
			loc = append(loc, clip(s.key, maxKeyShown))
		}
	}
	return Problem{Loc: loc, Msg: msg, Type: kind}
}

// describe describes a value for people. If it may hide a secret, only its type is named.
func describe(value []byte, hides bool) string {
	switch c := value[0]; {
	case c == '{':
		return "an object"
	case c == '[':
		return "a list"
	case c == 'n':
		return "null"
	case hides && c == '"':
		return "a string"
	case hides && (c == 't' || c == 'f'):
		return "a boolean"
	case hides:
		return "a number"
	case c == '"':
		return strconv.Quote(clip(jsonscan.Unquote(value), maxShown))
	default:
		return clip(string(value), maxShown)
	}
}

// plural returns "1 item" or "2 items".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
