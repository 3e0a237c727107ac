package host

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// runnerFile says that a directory holds the Python half.
const runnerFile = "cog/internal/file_runner.py"

// home is where this binary lives: a checkout, a Python environment that the wheel was installed
// in, or neither.
type home struct {
	checkout string // directory that holds the cog package beside the sources
	packages string // site-packages with the installed one
	python   string // interpreter of that environment, empty when it is not beside the binary
}

func findHome() home {
	exe, err := os.Executable()
	if err == nil {
		exe, err = filepath.EvalSymlinks(exe)
	}
	if err != nil {
		return home{}
	}
	bin := filepath.Dir(exe)
	prefix := filepath.Dir(bin)
	if dir := filepath.Join(prefix, "python"); Exists(filepath.Join(dir, runnerFile)) {
		return home{checkout: dir}
	}
	for _, name := range []string{"site-packages", "dist-packages"} {
		found, _ := filepath.Glob(filepath.Join(prefix, "lib", "python3*", name, runnerFile)) // the pattern is valid
		if len(found) > 0 {
			h := home{packages: strings.TrimSuffix(found[0], "/"+runnerFile)}
			if python := filepath.Join(bin, "python3"); Exists(python) {
				h.python = python
			}
			return h
		}
	}
	return home{}
}

// Exists reports whether path names a file or a directory.
func Exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// OwnPython is the interpreter to use when none is named: the one that the wheel was installed for.
func OwnPython() string {
	return cmp.Or(findHome().python, "python3")
}

// PythonPath is what python needs in PYTHONPATH to find our cog package, empty when it finds it by
// itself. Another interpreter than ours gets a directory in work with nothing but that package,
// because the rest of our site-packages is not meant for it.
func PythonPath(python, work string) (string, error) {
	h := findHome()
	if err := h.conflict(); err != nil || h.checkout != "" {
		return h.checkout, err
	}
	if h.packages == "" || h.python != "" && python == h.python {
		return "", nil
	}
	dir := filepath.Join(work, "python")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	link, packages := filepath.Join(dir, "cog"), filepath.Join(h.packages, "cog")
	if at, err := os.Readlink(link); err == nil && at == packages {
		return dir, nil
	}
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) { // of an earlier server, installed elsewhere
		return "", err
	}
	return dir, os.Symlink(packages, link)
}

// conflict reports that the package cog of Cog itself is installed over ours: both are called cog,
// and pip lets the later one overwrite the files of the earlier.
func (h home) conflict() error {
	if h.packages == "" {
		return nil
	}
	found, _ := filepath.Glob(filepath.Join(h.packages, "cog-[0-9]*.dist-info"))
	if len(found) == 0 {
		return nil
	}
	name := strings.TrimSuffix(filepath.Base(found[0]), ".dist-info")
	return fmt.Errorf("%s is installed in %s beside coggo, and both provide the package cog: "+
		"run `pip uninstall cog`, then `pip install --force-reinstall --no-deps coggo`", name, h.packages)
}
