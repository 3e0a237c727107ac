package main

import (
	"bytes"
	"encoding/json"
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

// manifest is the part of cog.yaml that matters at run time. Only members that describe the model
// can be wrong. Everything else is ignored, or is a warning.
type manifest struct {
	Predict        string
	Run            string
	Train          string
	MaxConcurrency int // 0: not set
	Packages       packages
	Warnings       []string
}

// packages are the packages that a model needs.
type packages struct {
	Listed       []string `json:"packages,omitempty"`
	Requirements string   `json:"requirements,omitempty"` // the path of a file
}

// manifestError is about the content of cog.yaml. That is a problem of the model, not of the
// command line.
type manifestError struct{ error }

// Unwrap returns the error itself.
func (e manifestError) Unwrap() error { return e.error }

// openManifest reads the cog.yaml of a model. Nothing else reads that file.
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
		return manifest{}, manifestError{fmt.Errorf("read %s: %w", path, err)}
	}
	m.Predict, m.Run = m.ref(members, "predict"), m.ref(members, "run")
	m.Train = m.ref(members, "train")
	m.MaxConcurrency = m.concurrency(members["concurrency"])
	m.Packages = packagesOf(members["build"])
	m.warnOfUnknown("", members,
		"build", "concurrency", "environment", "image", "predict", "run", "train", "weights")
	return m, nil
}

// parse returns the members at the top of the file. If the file is not valid YAML, it parses only
// the members that describe the model, because the parsers that Cog builds with are not as strict
// as this one.
func (m *manifest) parse(data []byte) (map[string]any, error) {
	members, err := parseYAML(data)
	if err == nil {
		return members, nil
	}
	if members, again := parseYAML(describing(data)); again == nil {
		m.warn("%s; only predict, run, train and concurrency are read",
			yaml.FormatError(err, false, false))
		return members, nil
	}
	return nil, err
}

// parseYAML reads an object. If two members have one name, the last one counts, as in Cog.
func parseYAML(data []byte) (map[string]any, error) {
	var members map[string]any
	err := yaml.UnmarshalWithOptions(data, &members, yaml.AllowDuplicateMapKey())
	return members, err
}

// topLevel is the start of a member that is not indented; it captures the name.
var topLevel = regexp.MustCompile(`^["']?([\w-]+)["']?\s*:(?:\s|$)`)

// describing returns the lines of those top-level members that describe the model.
func describing(data []byte) []byte {
	var kept []byte
	keep := false
	for line := range bytes.Lines(data) {
		if found := topLevel.FindSubmatch(line); found != nil {
			names := []string{"predict", "run", "train", "concurrency"}
			keep = slices.Contains(names, string(found[1]))
		}
		if keep {
			kept = append(kept, line...)
		}
	}
	return kept
}

// ref returns a reference such as predict.py:Predictor, or "". A folded string ends with a line
// break, which is not part of it.
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
		m.warn("concurrency is %s and not an object, so it is not read: "+
			"write concurrency: {max: N}", kindOf(value))
		return 0
	}
	m.warnOfUnknown("concurrency.", members, "default_target", "max")
	most := members["max"]
	if most == nil {
		return 0
	}
	n, err := strconv.Atoi(fmt.Sprint(most))
	if err != nil || n < 1 {
		m.warn("concurrency.max is %s and not an integer of at least 1, so it is not read",
			kindOf(most))
		return 0
	}
	return n
}

// packagesOf reads the packages, which the runner names if a module is missing. It ignores anything
// odd: cog build reports that.
func packagesOf(build any) (p packages) {
	members, _ := build.(map[string]any)
	listed, _ := members["python_packages"].([]any)
	for _, requirement := range listed {
		if text, ok := requirement.(string); ok {
			p.Listed = append(p.Listed, text)
		}
	}
	p.Requirements, _ = members["python_requirements"].(string)
	return p
}

// mostPackages bounds the length of an environment variable, which the kernel bounds too.
const mostPackages = 64 << 10

// json returns the form for the runner, "" if there are no packages.
func (p packages) json(dir string) string {
	if p.Requirements != "" && !filepath.IsAbs(p.Requirements) {
		p.Requirements = filepath.Join(dir, p.Requirements)
	}
	data, _ := json.Marshal(p) // strings can always be encoded
	if len(data) > mostPackages || string(data) == "{}" {
		return ""
	}
	return string(data)
}

// warnOfUnknown warns about members that neither Coggo nor Cog knows. Members that begin with x-
// are for YAML anchors.
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

// printWarnings shows the warnings to the user of the command line.
func (m *Model) printWarnings() {
	for _, warning := range m.Warnings {
		printError("%s", warning)
	}
}

// kindOf describes a value: a scalar as it is, a container by its kind.
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
