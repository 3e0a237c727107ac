// Package internal_test holds the rules that are about all packages together.
package internal_test

import (
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// arrows says for each package which packages of this module it may import. A package without an
// entry may not exist. The command is at the top because it wires everything; nothing imports it.
var arrows = map[string]string{
	// Words and rules, without I/O.
	"internal/jsonscan":   "",
	"internal/weburl":     "",
	"internal/prediction": "jsonscan weburl",
	"internal/pool":       "prediction",
	"internal/schema":     "jsonscan weburl",
	"internal/admission":  "pool prediction schema",

	// Files, processes, the network.
	"internal/examples":      "schema",
	"internal/files":         "weburl",
	"internal/host":          "runner/orphan spool",
	"internal/outbound":      "weburl",
	"internal/runner":        "runner/orphan",
	"internal/runner/orphan": "",
	"internal/sigmute":       "",
	"internal/spool":         "",
	"internal/telemetry":     "",
	"internal/unsafenet":     "",
	"internal/watch":         "",
	"internal/webhook":       "outbound prediction weburl",

	// The life of a prediction, its HTTP API, and the wiring of both.
	"internal/supervisor": "admission files pool prediction runner schema sigmute spool telemetry " +
		"webhook",
	"internal/queue":   "admission files pool prediction schema spool supervisor telemetry webhook",
	"internal/httpapi": "examples files pool prediction schema supervisor telemetry unsafenet",
	"cmd/coggo-server": "examples files host httpapi outbound pool prediction queue runner " +
		"runner/orphan schema supervisor telemetry watch webhook weburl",
}

const module = "github.com/coggo/coggo/"

func TestPackagesImportOnlyWhatTheTableAllows(t *testing.T) {
	found := imports(t)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if _, ok := arrows[name]; !ok {
			t.Errorf("%s is not in the table", name)
		}
	}
	for name, allowed := range arrows {
		actual, ok := found[name]
		if !ok {
			t.Errorf("%s is in the table and does not exist", name)
		}
		compare(t, name, strings.Fields(allowed), actual)
	}
}

// compare reports new arrows, and rows of the table that no import needs any more.
func compare(t *testing.T, name string, allowed, actual []string) {
	for _, target := range actual {
		if !slices.Contains(allowed, target) {
			t.Errorf("%s imports %s, which the table does not allow", name, target)
		}
	}
	for _, target := range allowed {
		if !slices.Contains(actual, target) {
			t.Errorf("%s may import %s and does not: remove it from the table", name, target)
		}
	}
}

// imports returns the packages of this module that each of them imports outside of its tests, on
// any system that the server is built for.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, system := range []string{"linux", "darwin"} {
		const format = `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`
		list := exec.CommandContext(t.Context(), "go", "list", "-f", format, "./cmd/...", "./internal/...")
		list.Dir = ".."
		list.Env = append(list.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		out, err := list.Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		for line := range strings.Lines(string(out)) {
			words := strings.Fields(line)
			name := strings.TrimPrefix(words[0], module)
			if name == "internal" {
				continue // the package of this test
			}
			found[name] = append([]string{}, found[name]...) // also without an arrow
			for _, imported := range words[1:] {
				target, ours := strings.CutPrefix(imported, module+"internal/")
				if ours && !slices.Contains(found[name], target) {
					found[name] = append(found[name], target)
				}
			}
		}
	}
	return found
}
