package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coggo/coggo/internal/jsonscan"
)

// maxDepth bounds the nesting of an input. Python raises an exception at about 1,000 levels, in the
// middle of reading a request. So the server must refuse earlier, with a margin for the request
// around the input.
const maxDepth = 256

// Checked is an input that the model accepts.
type Checked struct {
	// Input is the input for the runner: values coerced, unknown and repeated keys dropped. The
	// order of keys and every digit are the client's. If nothing had to change, it is the slice
	// that was checked. Long URLs of files are only in Files.
	Input json.RawMessage
	// MaskedInput is the client's input with stars for secrets. Without secrets it is the slice
	// that was checked.
	MaskedInput json.RawMessage
	// Files are the values that stand for files, in the order of Input.
	Files []FileInput
	// Unknown are the dropped keys.
	Unknown []string
}

// FileInput is a value that stands for a file.
type FileInput struct {
	Pointer string // JSON pointer into Checked.Input
	URL     string // http, https or data
}

// Check checks raw, a JSON object, against the model's schema; nil and null mean {}. It returns
// either all problems, at most 100, or the checked input. The result refers to raw, which must not
// change afterwards. Check may be called from any goroutine and does not panic on any bytes.
//
// Of a repeated key the last value counts. Check refuses strings that are not valid Unicode
// (invalid UTF-8, half a surrogate pair), numbers that Python cannot represent, and deep nesting
// everywhere, also under unknown keys.
func (i *Input) Check(raw json.RawMessage) (Checked, []Problem) {
	if trimmed := bytes.TrimSpace(raw); len(trimmed) == 0 || string(trimmed) == "null" {
		raw = json.RawMessage("{}")
	}
	w := walk{raw: raw, maxFiles: i.maxFiles}
	w.root(i.root)
	if w.manyFiles() {
		w.path = nil
		w.add("too_long", fmt.Sprintf("has more than %d files, see --max-input-files", i.maxFiles))
	}
	if len(w.problems) > 0 {
		return Checked{}, w.problems
	}
	var input json.RawMessage
	if !w.revision.more {
		input = apply(raw, w.revision.edits)
	} else if input = w.rewrite(i.root); input == nil {
		return Checked{}, w.problems
	}
	echo, ok := masked(i.root, raw)
	if !ok {
		w.add("too_long", fmt.Sprintf("has more than %d secrets", mostSecrets))
		return Checked{}, w.problems
	}
	return Checked{input, echo, w.files, w.unknown}, nil
}

// rewrite returns the checked input with more changes than the walk has kept. It returns nil if
// that is too large or takes too long.
func (w *walk) rewrite(root *node) json.RawMessage {
	if w.revision.growth > mostGrowth*len(w.raw) {
		w.add("too_long", fmt.Sprintf("is more than %d times as large as it was sent, "+
			"once its numbers are written as the model takes them", mostGrowth+1))
		return nil
	}
	out := make([]byte, 0, len(w.raw)+w.revision.growth)
	again := walk{raw: w.raw, revision: revision{out: out}}
	again.root(root)
	if w.problems = again.problems; len(w.problems) > 0 {
		return nil
	}
	return append(again.revision.out, w.raw[again.revision.at:]...)
}

// rule says how far a value may be from its type.
type rule int

const (
	exact   rule = iota // a member of a Union as it is
	numeric             // 2.0 for an integer, 1 for a float
	lenient             // also a string for a number, and a string, 0 or 1 for a boolean
)

// step is one level of a path: a key, or an index.
type step struct {
	key     string
	index   int
	inArray bool
}

// walk is one pass over an input. Once there is a problem, its other results are meaningless.
type walk struct {
	raw      []byte
	path     []step
	problems []Problem
	failed   bool // there is a problem
	quiet    bool // a trial: nobody asks which problem
	revision revision
	files    []FileInput
	maxFiles int // 0: no limit
	unknown  []string
	matching time.Duration // spent on patterns
	// veiled is set within a value that contains a secret: the client may have put the secret in a
	// wrong place.
	veiled bool
}

func (w *walk) text(v jsonscan.Span) []byte { return w.raw[v.Start:v.End] }

func (w *walk) change(v jsonscan.Span, text string) { w.revision.change(w.raw, edit{v, text}) }

func (w *walk) add(kind, msg string) {
	w.failed = true
	if w.quiet {
		return
	}
	switch n := len(w.problems); {
	case n < maxProblems-1:
		w.problems = append(w.problems, newProblem(w.path, kind, msg))
	case n == maxProblems-1:
		more := newProblem(nil, "too_many_errors", "has more problems than are listed here")
		w.problems = append(w.problems, more)
	}
}

// refuse adds a problem that names the value.
func (w *walk) refuse(n *node, v jsonscan.Span, kind, msg string) {
	if w.failed = true; !w.quiet {
		w.add(kind, msg+"; got "+describe(w.text(v), w.veiled))
	}
}

func (w *walk) value(n *node, v jsonscan.Span, r rule) {
	if n.hides && !w.veiled {
		w.veiled = true
		defer func() { w.veiled = false }()
	}
	switch {
	case n.never:
		w.add("never", "is not allowed here")
		return
	case w.raw[v.Start] == 'n' && n.takesNull():
		return
	case n.anyOf != nil:
		w.union(n, v, r)
		return
	}
	switch n.kindOf(w.text(v)) {
	case nullType:
		w.refuse(n, v, "none_required", "must be null")
	case stringType:
		w.string(n, v)
	case integerType:
		w.integer(n, v, r)
	case numberType:
		w.number(n, v, r)
	case booleanType:
		w.boolean(n, v, r)
	case arrayType:
		w.array(n, v, r)
	case objectType:
		w.object(n, v, r)
	default:
		w.choice(n, v, canonical(w.text(v)))
	}
	if n.not != nil {
		if w.fits(n.not, v, exact) {
			w.refuse(n, v, "not", "is one of the values that are not allowed")
		}
	}
}

func (n *node) takesNull() bool {
	anything := n.kind == anyType && n.anyOf == nil && n.enum == nil && n.not == nil
	return n.nullable || n.kind == nullType || anything
}

// kindOf returns the type by which a value is checked: that of the schema, or the value's own if
// the schema has keywords about some type but doesn't say which type it is.
func (n *node) kindOf(value []byte) string {
	if !n.asserts {
		return n.kind
	}
	switch c := value[0]; {
	case c == '"':
		return stringType
	case c == '{':
		return objectType
	case c == '[':
		return arrayType
	case c == 't' || c == 'f':
		return booleanType
	case c == 'n':
		return anyType
	case bytes.ContainsAny(value, ".eE"):
		return numberType
	default:
		return integerType
	}
}

// choice checks the canonical text of a value against an enum.
func (w *walk) choice(n *node, v jsonscan.Span, canonical string) {
	if n.enum != nil && !n.enum.known[canonical] {
		w.refuse(n, v, "enum", "must be one of: "+n.enum.shown)
	}
}

// union chooses the member that the value names by its tag, else the first that it fits exactly,
// else the first that it fits as a number in another form.
func (w *walk) union(n *node, v jsonscan.Span, r rule) {
	members := n.anyOf
	if n.tag != "" && w.raw[v.Start] == '{' {
		if members = w.tagged(n, v); len(members) == 1 {
			w.value(members[0], v, r)
		}
		if len(members) < 2 {
			return
		}
	}
	r = min(r, numeric)
	for rule := exact; rule <= r; rule++ {
		for _, member := range members {
			trial := w.try(member, v, rule, true)
			if !trial.failed {
				w.adopt(&trial, member, v, rule)
				return
			}
		}
	}
	w.refuseUnion(n, v, r)
}

// tagged returns the members that the tag of the object at v allows. If there aren't any, it adds a
// problem.
func (w *walk) tagged(n *node, v jsonscan.Span) (members []*node) {
	w.path = append(w.path, step{key: n.tag})
	defer func() { w.path = w.path[:len(w.path)-1] }()
	tag, ok := w.find(v, n.tag)
	if !ok {
		w.add("missing", "Field required")
		return nil
	}
	var shown []string
	for _, member := range n.anyOf {
		tags := member.tags(n.tag)
		fits := func(m *node) bool { return w.fits(m, tag, exact) }
		if len(tags) == 0 || slices.ContainsFunc(tags, fits) {
			members = append(members, member)
		}
		for _, m := range tags {
			if m.enum != nil && !slices.Contains(shown, m.enum.shown) {
				shown = append(shown, m.enum.shown)
			}
		}
	}
	if len(members) == 0 {
		w.refuse(n, tag, "union_tag_invalid", "must be one of: "+strings.Join(shown, ", "))
	}
	return members
}

// tags returns the schemas of the property called tag: those in the members if n is a union, else
// that of n.
func (n *node) tags(tag string) (found []*node) {
	for _, member := range n.anyOf {
		found = append(found, member.tags(tag)...)
	}
	if property := n.properties[tag]; property != nil {
		found = append(found, property)
	}
	return found
}

// refuseUnion adds the problems that the value has with the one member of its JSON type. If there
// are several such members or none, it names the types of all. For a number that fits neither an
// integer nor a float, the float member gives the reason.
func (w *walk) refuseUnion(n *node, v jsonscan.Span, r rule) {
	var near []*node
	var names []string
	for _, member := range n.anyOf {
		if member.takes(w.raw[v.Start]) {
			near = append(near, member)
		}
		names = append(names, member.name())
	}
	isInteger := func(m *node) bool { return m.kind == integerType }
	wider := slices.DeleteFunc(slices.Clone(near), isInteger)
	if len(near) == 2 && len(wider) == 1 && wider[0].kind == numberType {
		near = wider
	}
	if len(near) == 1 {
		w.value(near[0], v, r)
		return
	}
	w.refuse(n, v, "union", "must be "+strings.Join(names, " or "))
}

// try walks the value in a separate walk, so that a member of a union that does not fit has no
// effect.
func (w *walk) try(n *node, v jsonscan.Span, r rule, quiet bool) walk {
	trial := walk{
		raw: w.raw, path: w.path, matching: w.matching, veiled: w.veiled, quiet: quiet,
		maxFiles: w.maxFiles,
	}
	trial.value(n, v, r)
	w.matching = trial.matching
	return trial
}

// fits reports whether the value fits n.
func (w *walk) fits(n *node, v jsonscan.Span, r rule) bool {
	trial := w.try(n, v, r, true)
	return !trial.failed
}

// also adds the problems that the value has with another schema.
func (w *walk) also(n *node, v jsonscan.Span, r rule) {
	trial := w.try(n, v, r, w.quiet)
	w.failed = w.failed || trial.failed
	w.problems = append(w.problems, trial.problems...)
}

// adopt takes over the results of a trial. Edits that the trial has not kept are made again.
func (w *walk) adopt(trial *walk, n *node, v jsonscan.Span, r rule) {
	if trial.revision.more && w.revision.out != nil {
		w.value(n, v, r)
		return
	}
	for _, e := range trial.revision.edits {
		w.change(e.Span, e.text)
		trial.revision.growth -= len(e.text) - (e.End - e.Start)
	}
	w.revision.growth += trial.revision.growth
	w.revision.more = w.revision.more || trial.revision.more
	w.files = append(w.files, trial.files...)
}

// manyFiles reports whether there are more files than allowed. The walk keeps one too many.
func (w *walk) manyFiles() bool { return w.maxFiles > 0 && len(w.files) > w.maxFiles }

// view returns a part of the text as a string without a copy.
func (w *walk) view(v jsonscan.Span) string { return jsonscan.View(w.text(v)) }

// takes reports whether a value that starts with c is of n's JSON type.
func (n *node) takes(c byte) bool {
	switch c {
	case '"':
		return n.kind == stringType
	case '{':
		return n.kind == objectType
	case '[':
		return n.kind == arrayType
	case 't', 'f':
		return n.kind == booleanType
	case 'n':
		return n.kind == nullType
	default:
		return n.kind == integerType || n.kind == numberType
	}
}

// name returns the type with its article, for messages.
func (n *node) name() string {
	switch {
	case n.file:
		return fileName
	case n.kind == anyType:
		return "any value"
	case n.kind == nullType:
		return nullType
	case n.kind == numberType, n.kind == booleanType:
		return "a " + n.kind
	case n.kind == arrayType:
		return "a list"
	case n.kind == stringType:
		return "a string"
	default:
		return "an " + n.kind
	}
}
