package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

var update = flag.Bool("update", false, "write the table of flags into docs/operating.md")

const operating = "../../docs/operating.md"

// generated is the part of docs/operating.md that this test owns.
var generated = regexp.MustCompile(`(?s)(<!-- flags: made by make docs -->\n).*?(<!-- end -->)`)

func TestTheTableOfFlagsIsComplete(t *testing.T) {
	document, err := os.ReadFile(operating)
	if err != nil {
		t.Fatal(err)
	}
	if !generated.Match(document) {
		t.Fatal("docs/operating.md has no place for the table of flags")
	}
	want := generated.ReplaceAllString(string(document), "${1}"+strings.ReplaceAll(flagTable(t), "$", "$$")+"${2}")
	if *update {
		if err := os.WriteFile(operating, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(document) {
		t.Error("the table of flags in docs/operating.md is not that of the configuration: run make docs")
	}
}

// flagTable is a table for each group of flags, in the order of --help.
func flagTable(t *testing.T) string {
	parser, err := newParser(&commands{})
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	rows := map[string][]string{}
	seen := map[string]bool{"--help": true, "--version": true}
	for _, command := range parser.Model.Children {
		for _, f := range command.Flags {
			name := "--" + f.Name
			if seen[name] {
				continue
			}
			seen[name] = true
			group := "Accepted for Cog's sake"
			if f.Group != nil {
				group = strings.TrimSuffix(f.Group.Title, ":")
			}
			if command.Name != "serve" {
				group = fmt.Sprintf("Of `coggo-server %s` alone", command.Name)
			}
			if rows[group] == nil {
				order = append(order, group)
			}
			rows[group] = append(rows[group], flagRow(name, f))
		}
	}
	var out strings.Builder
	for _, group := range order {
		fmt.Fprintf(&out, "\n**%s**\n\n| flag | variable | default | |\n|---|---|---|---|\n%s\n", group, strings.Join(rows[group], "\n"))
	}
	return out.String() + "\n"
}

func flagRow(name string, f *kong.Flag) string {
	if f.Short != 0 {
		name = fmt.Sprintf("-%c, %s", f.Short, name)
	}
	var variables []string
	for _, v := range f.Envs {
		variables = append(variables, "`"+v+"`")
	}
	byDefault := ""
	if f.HasDefault && f.Default != "" {
		byDefault = "`" + f.Default + "`"
	}
	help := strings.NewReplacer("|", `\|`, "$$", "$").Replace(f.Help)
	return fmt.Sprintf("| `%s` | %s | %s | %s |", name, strings.Join(variables, ", "), byDefault, help)
}

// read finds the variables that the sources read from the environment.
var read = []*regexp.Regexp{
	regexp.MustCompile(`(?:Getenv|LookupEnv)\("([A-Z][A-Z0-9_]*[A-Z0-9])"`),
	regexp.MustCompile(`environ(?:\.get\(|\[)"([A-Z][A-Z0-9_]*[A-Z0-9])"`),
	regexp.MustCompile(`env:"([A-Z0-9_,]+)"`),
}

// signals are read for traces alone and for everything: OTEL_EXPORTER_OTLP_TRACES_X and
// OTEL_EXPORTER_OTLP_X.
var signals = regexp.MustCompile(`signalEnv\("([A-Z]+)"\)`)

func TestEveryVariableIsDescribed(t *testing.T) {
	document, err := os.ReadFile(operating)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, pattern := range []string{"../../cmd/*/*.go", "../../internal/*/*.go", "../../python/cog/*.py", "../../python/cog/*/*.py", "../../python/cog/*/*/*.py"} {
		files, _ := filepath.Glob(pattern) // the pattern is valid
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				variablesOf(t, file, found)
			}
		}
	}
	if len(found) < 20 {
		t.Errorf("only %d variables were found: %v", len(found), found)
	}
	for name, file := range found {
		if !strings.Contains(string(document), "`"+name+"`") {
			t.Errorf("%s, which %s reads, is not in docs/operating.md", name, file)
		}
	}
}

func variablesOf(t *testing.T, file string, found map[string]string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range read {
		for _, m := range pattern.FindAllStringSubmatch(string(text), -1) {
			for name := range strings.SplitSeq(m[1], ",") {
				found[name] = file
			}
		}
	}
	for _, m := range signals.FindAllStringSubmatch(string(text), -1) {
		found["OTEL_EXPORTER_OTLP_"+m[1]] = file
	}
}
