package main

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

//go:embed starter
var starterFiles embed.FS

// starter lists the files of a new model, in the order in which init prints them. source is the
// name in starterFiles. A model does not work without the needed ones.
var starter = []struct {
	source, name string
	needed       bool
}{
	{"cog.yaml", "cog.yaml", true},
	{"predict.py", "predict.py", true},
	{"requirements.txt", "requirements.txt", false},
	{"gitignore", ".gitignore", false},
}

type initCommand struct {
	Directory string `arg:"" optional:"" default:"." help:"Directory to make the model in. It may exist."`
}

// Run makes a new model. It overwrites nothing.
func (c *initCommand) Run(status *int) error {
	var there []string
	for _, file := range starter {
		at := filepath.Join(c.Directory, file.name)
		if _, err := os.Lstat(at); err == nil && file.needed {
			there = append(there, at)
		}
	}
	if len(there) > 0 {
		*status = exitUsage
		printError("init overwrites nothing: there is already %s; name another directory",
			strings.Join(there, " and "))
		return nil
	}
	if err := os.MkdirAll(c.Directory, 0o777); err != nil {
		return fmt.Errorf("init: %w", err)
	}
	for _, file := range starter {
		at := filepath.Join(c.Directory, file.name)
		err := writeNew(at, file.source)
		switch {
		case err == nil:
			fmt.Println("made", at)
		case errors.Is(err, fs.ErrExist) && !file.needed:
			fmt.Println("left", at, "as it is")
		default:
			return fmt.Errorf("init: %w", err)
		}
	}
	fmt.Printf(`
Next:

  %[1]s check --strict %[2]s
  %[1]s --reload %[2]s

The second serves the model and reloads it at each save. Its page is http://localhost:5000/docs.
`, quoted(os.Args[0]), quoted(c.Directory))
	return nil
}

// writeNew writes a file that does not exist yet.
func writeNew(at, source string) (err error) {
	data, err := starterFiles.ReadFile(path.Join("starter", source))
	if err != nil {
		return err
	}
	file, err := os.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	_, err = file.Write(data)
	return err
}
