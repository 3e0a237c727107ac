// Package examples reads examples.json: inputs to try, which the author of a model keeps in the
// model's directory.
package examples

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/coggo/coggo/internal/schema"
)

// FileName is the name of the file in the model's directory.
const FileName = "examples.json"

// Limits of what is read, so that no client waits for long.
const (
	maxText  = 1 << 20
	maxFile  = 32 << 20
	maxCount = 100
)

// Example is an input that the model takes. An input for a file may have a path from Set.Files in
// place of a URL.
type Example struct {
	Name  string          `json:"name"`
	Input json.RawMessage `json:"input"`
}

// Set is all examples of a model.
type Set struct {
	Examples []Example
	Files    map[string]bool // paths relative to the model's directory, as the examples spell them
	Warnings []string        // why other examples are left out
}

// Read returns the examples in dir that the model's input accepts. Without the file there are none.
// It reads the file each time, so that a change is visible at once and nothing is cached.
func Read(dir string, input *schema.Input) Set {
	set := Set{Examples: []Example{}, Files: map[string]bool{}}
	root, err := os.OpenRoot(dir)
	if err != nil {
		set.warn("%v", err)
		return set
	}
	defer root.Close()
	text, err := readText(root)
	if errors.Is(err, fs.ErrNotExist) {
		return set
	}
	var found []Example
	if err == nil {
		found, err = parse(text)
	}
	if err != nil {
		set.warn("%v", err)
		return set
	}
	if len(found) > maxCount {
		set.warn("it has %d examples, and only the first %d are read", len(found), maxCount)
		found = found[:maxCount]
	}
	for i, example := range found {
		if example.Name == "" {
			example.Name = fmt.Sprintf("Example %d", i+1)
		}
		paths, err := check(root, input, example.Input)
		if err != nil {
			set.warn("%s: %v", example.Name, err)
			continue
		}
		for _, path := range paths {
			set.Files[path] = true
		}
		set.Examples = append(set.Examples, example)
	}
	return set
}

func (s *Set) warn(format string, args ...any) {
	s.Warnings = append(s.Warnings, FileName+": "+fmt.Sprintf(format, args...))
}

// Open opens a file in the directory of a model. It refuses a path or a symbolic link that leads
// out of the directory.
func Open(dir, path string) (*os.File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return open(root, path, maxFile)
}

// open opens a regular file that is not too large. Without O_NONBLOCK, the open of a pipe would
// wait for a writer.
func open(root *os.Root, path string, most int64) (*os.File, error) {
	file, err := root.OpenFile(filepath.FromSlash(path), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%s is not a file", path)
	case info.Size() > most:
		err = fmt.Errorf("%s has more than %d MiB", path, most>>20)
	default:
		return file, nil
	}
	_ = file.Close()
	return nil, err
}

func readText(root *os.Root) ([]byte, error) {
	file, err := open(root, FileName, maxText)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxText))
}

func parse(text []byte) ([]Example, error) {
	var found []Example
	err := json.Unmarshal(bytes.TrimPrefix(text, []byte("\ufeff")), &found)
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		line := 1 + bytes.Count(text[:min(int(syntax.Offset), len(text))], []byte("\n"))
		return nil, fmt.Errorf("line %d: %w", line, err)
	case err != nil:
		return nil, errors.New(`it must be a list of {"name": "…", "input": {…}}`)
	}
	return found, nil
}

// check returns the paths of the files that an input names in place of URLs.
func check(root *os.Root, input *schema.Input, raw json.RawMessage) (paths []string, err error) {
	if len(raw) == 0 {
		return nil, errors.New("it has no input")
	}
	var values map[string]any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if decoder.Decode(&values) != nil || values == nil {
		return nil, errors.New("its input must be an object")
	}
	_, problems := input.Check(raw)
	for _, problem := range problems {
		path, ok := takeFile(values, problem)
		if !ok {
			return nil, refusal(problem)
		}
		file, err := open(root, path, maxFile)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", problem.Place(), unreadable(path, err))
		}
		_ = file.Close()
		paths = append(paths, path)
	}
	plain, err := json.Marshal(values)
	if err != nil {
		return nil, err
	}
	checked, problems := input.Check(plain)
	if len(problems) > 0 {
		return nil, refusal(problems[0])
	}
	if len(checked.Unknown) > 0 {
		return nil, fmt.Errorf("the model has no input %s", strings.Join(checked.Unknown, ", "))
	}
	return paths, nil
}

// takeFile replaces the path that caused the problem by a URL, and returns the path. It belongs to
// an input or to an item of a list, because the form has files only there.
func takeFile(values map[string]any, p schema.Problem) (path string, ok bool) {
	if p.Type != "url_parsing" {
		return "", false
	}
	name, _ := p.Loc[2].(string)
	switch value := values[name].(type) {
	case string:
		path, values[name] = value, anyFile
	case []any:
		if len(p.Loc) != 4 {
			return "", false
		}
		index, _ := p.Loc[3].(int)
		path, _ = value[index].(string)
		value[index] = anyFile
	}
	return path, path != "" && isPath(path)
}

// anyFile is a URL that is valid for every file, and for no other type with a rule.
const anyFile = "data:,"

// isPath reports whether a string can be the path of a file in the directory: not a URL, and not a
// path that leads elsewhere.
func isPath(s string) bool {
	return !strings.Contains(s, ":") && filepath.IsLocal(filepath.FromSlash(s))
}

func refusal(p schema.Problem) error {
	if at := p.Place(); at != "" {
		return fmt.Errorf("%s: %s", at, p.Msg)
	}
	return fmt.Errorf("its input %s", p.Msg)
}

// unreadable words a problem with a path for the author of the model.
func unreadable(path string, err error) error {
	if system, ok := errors.AsType[*fs.PathError](err); ok {
		err = fmt.Errorf("%s: %w", path, system.Err)
	}
	return err
}
