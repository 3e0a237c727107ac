package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// catalogue is the page that names every type of a 422 and every message that a client can get from
// the server itself.
const catalogue = "../../docs/errors.md"

// sources are the parsed files of packages, without tests.
func sources(t *testing.T, packages ...string) []*ast.File {
	t.Helper()
	var parsed []*ast.File
	for _, p := range packages {
		if !strings.HasSuffix(p, ".go") {
			p += "/*.go"
		}
		files, _ := filepath.Glob("../../internal/" + p) // the pattern is valid
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			parsed = append(parsed, f)
		}
	}
	if len(parsed) < len(packages) {
		t.Fatalf("%v: only %d files", packages, len(parsed))
	}
	return parsed
}

func inCatalogue(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile(catalogue)
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// nameOf is the name of a function or a type, without its package or receiver.
func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// kindAt maps a function to the index of its argument that is the type of a problem.
var kindAt = map[string]int{"add": 0, "bad": 0, "refuse": 2, "invalidForm": 2}

// snake is a type of two words or more. The package schema has no other strings of that form.
var snake = regexp.MustCompile(`^[a-z]+(_[a-z]+)+$`)

func TestEveryTypeOfAProblemIsDescribed(t *testing.T) {
	found := map[string]bool{}
	see := func(e ast.Expr) {
		if text, ok := literal(e); ok {
			found[text] = true
		}
	}
	for _, file := range sources(t, "schema") {
		ast.Inspect(file, func(n ast.Node) bool {
			if e, ok := n.(*ast.BasicLit); ok {
				if text, ok := literal(e); ok && snake.MatchString(text) {
					found[text] = true
				}
			}
			return true
		})
	}
	for _, file := range sources(t, "schema", "prediction", "httpapi") {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if at, ok := kindAt[nameOf(n.Fun)]; ok && len(n.Args) > at {
					see(n.Args[at])
				}
			case *ast.CompositeLit:
				if nameOf(n.Type) != "Problem" {
					return true
				}
				for at, e := range n.Elts {
					if pair, ok := e.(*ast.KeyValueExpr); !ok && at == 2 {
						see(e)
					} else if ok && pair.Key.(*ast.Ident).Name == "Type" {
						see(pair.Value)
					}
				}
			}
			return true
		})
	}
	if len(found) < 35 {
		t.Errorf("only %d types were found: %v", len(found), slices.Sorted(maps.Keys(found)))
	}
	page := inCatalogue(t)
	for _, kind := range slices.Sorted(maps.Keys(found)) {
		if !strings.Contains(page, "\n| `"+kind+"` |") {
			t.Errorf("docs/errors.md has no row for the type %s of a 422", kind)
		}
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(page, -1) {
		if !found[row[1]] {
			t.Errorf("docs/errors.md has a row for %s, which nothing answers", row[1])
		}
	}
}

func literal(e ast.Expr) (string, bool) {
	if l, ok := e.(*ast.BasicLit); ok && l.Kind == token.STRING {
		text, err := strconv.Unquote(l.Value)
		return text, err == nil
	}
	return "", false
}

var (
	verb    = regexp.MustCompile(`%[-+#0-9.]*[a-zA-Z]`)
	unknown = regexp.MustCompile(`(…\s*)+…`)
)

// message returns the string that an expression makes, with … for its variable parts.
func message(e ast.Expr) (string, bool) {
	if text, ok := literal(e); ok {
		return text, true
	}
	switch e := e.(type) {
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			return "", false
		}
		left, ok1 := message(e.X)
		right, ok2 := message(e.Y)
		if !ok1 && !ok2 {
			return "", false
		}
		if !ok1 {
			left = "…"
		}
		if !ok2 {
			right = "…"
		}
		return unknown.ReplaceAllString(left+right, "…"), true
	case *ast.CallExpr:
		switch nameOf(e.Fun) {
		case "Sprintf", "Errorf":
			text, ok := literal(e.Args[0])
			return verb.ReplaceAllString(text, "…"), ok
		}
	}
	return "", false
}

// logs are the calls whose words go to the log, or to nobody.
var logs = map[string]bool{"Debug": true, "Info": true, "Warn": true, "Error": true, "panic": true}

// otherwise are strings that are not the `error` of anything: headers, events, log lines, and what
// ends the server.
var otherwise = []string{
	"\n", "-src '", "-src http", "Content-Type, Prefer", "Retry-After, Location", "GET, HEAD", "Input validation failed",
	"events were dropped", "recover …: …", "request … has no journal entry: …",
	"complete the document: …", "read the model's document: …", // of an internal error
	// why the server killed a runner
	"after the cancel", "the server is ending", "the model has changed",
	"the model has removed the working directory",
}

func TestEveryMessageIsDescribed(t *testing.T) {
	found := map[string]bool{}
	for _, file := range sources(t, "admission", "httpapi", "pool", "queue/refusal.go", "supervisor") {
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && logs[nameOf(call.Fun)] && len(call.Args) > 0 {
				return false
			}
			e, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			text, ok := message(e)
			told := !slices.ContainsFunc(otherwise, func(s string) bool { return strings.Contains(text, s) })
			if ok && told && strings.Count(strings.TrimSpace(text), " ") >= 2 {
				found[text] = true
			}
			return !ok
		})
	}
	if len(found) < 60 {
		t.Errorf("only %d messages were found", len(found))
	}
	page := inCatalogue(t)
	for _, text := range slices.Sorted(maps.Keys(found)) {
		if row := "\n| " + code(text) + " |"; !strings.Contains(page, row) {
			t.Errorf("docs/errors.md has no row for a message: %s", row)
		}
	}
	elsewhere := []string{ // made in packages whose other strings are not for clients
		"the body is not valid JSON: …", "no file has this id; uploaded files are kept for a while",
		"the model is being reloaded, because … changed; try again when /health-check says READY",
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `+([^|]* [^|]* [^|]*[^`])`+ \\|").FindAllStringSubmatch(page, -1) {
		if !found[row[1]] && !slices.Contains(elsewhere, row[1]) {
			t.Errorf("docs/errors.md has a row for a message that nothing says: %s", row[1])
		}
	}
}

// code returns a string as code in Markdown.
func code(text string) string {
	if strings.Contains(text, "`") {
		return "``" + text + "``"
	}
	return "`" + text + "`"
}
