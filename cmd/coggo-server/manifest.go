package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// manifest is what cog.yaml says that matters at run time. Only what describes the model can be wrong: whatever else is odd
// is left alone, or is a warning.
type manifest struct {
	Predict        string
	Run            string
	Train          string
	MaxConcurrency int // 0: not said
	Warnings       []string
}

// openManifest reads the cog.yaml of a model. Nobody else reads that file.
func openManifest(path string) (manifest, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return manifest{}, nil
	}
	if err != nil {
		return manifest{}, fmt.Errorf("read %s: %w", filepath.Base(path), err)
	}
	var m manifest
	members, err := m.parse(bytes.TrimPrefix(data, []byte("\ufeff")))
	if err != nil {
		return manifest{}, fmt.Errorf("read %s: %w", path, err)
	}
	m.Predict, m.Run, m.Train = m.ref(members, "predict"), m.ref(members, "run"), m.ref(members, "train")
	m.MaxConcurrency = m.concurrency(members["concurrency"])
	m.warnOfUnknown("", members, "build", "concurrency", "environment", "image", "predict", "run", "train", "weights")
	return m, nil
}

// parse returns the members at the top of the file. Where the whole is not YAML, it parses the members that describe the model
// without the others: the parsers that Cog builds with are not as strict as this one.
func (m *manifest) parse(data []byte) (map[string]any, error) {
	members, err := parseYAML(data)
	if err == nil {
		return members, nil
	}
	if members, again := parseYAML(describing(data)); again == nil {
		m.warn("%s; only predict, run, train and concurrency are read", yaml.FormatError(err, false, false))
		return members, nil
	}
	return nil, err
}

// parseYAML reads an object. Of two members with one name the last one counts, as with Cog.
func parseYAML(data []byte) (map[string]any, error) {
	var members map[string]any
	err := yaml.UnmarshalWithOptions(data, &members, yaml.AllowDuplicateMapKey())
	return members, err
}

// topLevel is the start of a member that is not indented; it captures the name.
var topLevel = regexp.MustCompile(`^["']?([\w-]+)["']?\s*:(?:\s|$)`)

// describing returns the lines of those members at the top that say something of the model.
func describing(data []byte) []byte {
	var kept []byte
	keep := false
	for line := range bytes.Lines(data) {
		if found := topLevel.FindSubmatch(line); found != nil {
			keep = slices.Contains([]string{"predict", "run", "train", "concurrency"}, string(found[1]))
		}
		if keep {
			kept = append(kept, line...)
		}
	}
	return kept
}

// ref returns a reference such as predict.py:Predictor, or "". A folded string ends with a line break, which is not part of it.
func (m *manifest) ref(members map[string]any, name string) string {
	switch value := members[name].(type) {
	case nil:
	case string:
		return strings.TrimSpace(value)
	default:
		m.warn("%s is %s and not FILE:NAME, so it is not read", name, kindOf(value))
	}
	return ""
}

func (m *manifest) concurrency(value any) int {
	if value == nil {
		return 0
	}
	members, ok := value.(map[string]any)
	if !ok {
		m.warn("concurrency is %s and not an object, so it is not read: write concurrency: {max: N}", kindOf(value))
		return 0
	}
	m.warnOfUnknown("concurrency.", members, "default_target", "max")
	most := members["max"]
	if most == nil {
		return 0
	}
	n, err := strconv.Atoi(fmt.Sprint(most))
	if err != nil || n < 1 {
		m.warn("concurrency.max is %s and not a whole number of at least 1, so it is not read", kindOf(most))
		return 0
	}
	return n
}

// warnOfUnknown names the members that neither Coggo nor Cog knows. Those that begin with x- are there for anchors.
func (m *manifest) warnOfUnknown(where string, members map[string]any, known ...string) {
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if !slices.Contains(known, name) && !strings.HasPrefix(name, "x-") {
			m.warn("%s%s is not known, so it is not read", where, name)
		}
	}
}

func (m *manifest) warn(format string, args ...any) {
	m.Warnings = append(m.Warnings, "cog.yaml: "+fmt.Sprintf(format, args...))
}

// complainOfWarnings tells the person at the command line.
func (m *Model) complainOfWarnings() {
	for _, warning := range m.Warnings {
		complain("%s", warning)
	}
}

// kindOf says what a value is: a scalar as it stands, a container by its kind.
func kindOf(value any) string {
	switch value := value.(type) {
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	default:
		return fmt.Sprint(value)
	}
}
