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

// runnerFile is a file in each directory that has the Python half.
const runnerFile = "cog/internal/file_runner.py"

// home is the place of this binary: a checkout, the Python environment of the wheel, or another
// one.
type home struct {
	checkout string // the directory with the cog package next to the sources
	packages string // site-packages with the installed package
	python   string // the interpreter of that environment, "" if it is not next to the binary
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
		// The pattern is valid.
		found, _ := filepath.Glob(filepath.Join(prefix, "lib", "python3*", name, runnerFile))
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

// OwnPython returns the interpreter to use if none is named: the one that the wheel was installed
// for.
func OwnPython() string {
	return cmp.Or(findHome().python, "python3")
}

// PythonPath returns the entry that python needs in PYTHONPATH to find our cog package, "" if it
// finds the package itself. An interpreter other than ours gets a directory in work with only that
// package, because the rest of our site-packages is not meant for it.
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
	// It may be that of an earlier server, which was installed elsewhere.
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return dir, os.Symlink(packages, link)
}

// conflict returns an error if Cog's own package is installed over ours. Both are called cog, and
// pip lets the later one overwrite the files of the earlier.
func (h home) conflict() error {
	if h.packages == "" {
		return nil
	}
	found, _ := filepath.Glob(filepath.Join(h.packages, "cog-[0-9]*.dist-info"))
	if len(found) == 0 {
		return nil
	}
	name := strings.TrimSuffix(filepath.Base(found[0]), ".dist-info")
	return fmt.Errorf(
		"%s is installed in %s beside coggo, and both provide the package cog: "+
			"run `pip uninstall cog`, then `pip install --force-reinstall --no-deps coggo`",
		name, h.packages)
}
