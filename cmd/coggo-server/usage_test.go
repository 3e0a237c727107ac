package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// accepted are flags of Cog's own server that help does not show.
var accepted = []string{"threads", "x-mode"}

// namedFlag is the beginning of a flag's entry in the help.
var namedFlag = regexp.MustCompile(`(?m)^ +(?:-\w, )?--([a-z0-9-]+)`)

func TestTheUsageOfEachCommandNamesExactlyItsArgumentsAndFlags(t *testing.T) {
	for _, name := range commandNames(t) {
		t.Run(name, func(t *testing.T) {
			var c commands
			var out bytes.Buffer
			parser, err := newParser(&c)
			if err != nil {
				t.Fatal(err)
			}
			parser.Stdout, parser.Exit = &out, func(int) {}
			traced, err := parser.Parse([]string{name, "--help"})
			if err != nil {
				t.Fatal(err)
			}
			node := traced.Selected()
			usage := "Usage: coggo-server " + name
			for _, argument := range node.Positional {
				usage += fmt.Sprintf(" [<%s>]", argument.Name)
				if !strings.Contains(out.String(), fmt.Sprintf("\n  [<%s>] ", argument.Name)) {
					t.Errorf("the argument %s is not explained", argument.Name)
				}
			}
			if first, _, _ := strings.Cut(out.String(), "\n"); first != usage+" [flags]" {
				t.Errorf("%q, want %q", first, usage+" [flags]")
			}
			shown := map[string]bool{}
			for _, found := range namedFlag.FindAllStringSubmatch(out.String(), -1) {
				shown[found[1]] = true
			}
			there := map[string]bool{}
			for _, group := range node.AllFlags(false) {
				for _, flag := range group {
					there[flag.Name] = !slices.Contains(accepted, flag.Name)
				}
			}
			maps.DeleteFunc(there, func(_ string, want bool) bool { return !want })
			if !maps.Equal(shown, there) {
				t.Errorf("help shows %v, there are %v", slices.Sorted(maps.Keys(shown)), slices.Sorted(maps.Keys(there)))
			}
		})
	}
}

// commandNames are those of the struct itself: what the parser knows could miss one.
func commandNames(t *testing.T) (names []string) {
	source, err := os.ReadFile("commands.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile("(?m)^\t(\\w+) +\\w+Command +`cmd:").FindAllStringSubmatch(string(source), -1) {
		names = append(names, strings.ToLower(found[1]))
	}
	if len(names) < 6 {
		t.Fatalf("only %v were found", names)
	}
	return names
}
