package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-json-experiment/json/jsontext"
)

// Local is a directory of the person who runs a model at the command line. The files of one
// prediction go there.
type Local struct {
	Dir string // the output names files relative to it
	// Of the first file, which overwrites a file of this name; "": every file gets a new name.
	Name  string
	Saved func(path string) // called for each file
	Count int               // of the files so far
}

// save copies every file to l and returns their paths in the order of entries.
func (p *Publisher) save(
	ctx context.Context, l *Local, d *Destination, entries []Entry,
) ([]filling, error) {
	fillings := make([]filling, len(entries))
	for i := range entries {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		c, err := p.inspect(&entries[i])
		if err != nil {
			return nil, err
		}
		path, err := c.saveTo(l, d)
		if err != nil {
			return nil, c.fail("save", l.Dir, cause(err))
		}
		l.Count++
		l.Saved(path)
		quoted, err := jsontext.AppendQuote(nil, path)
		if err != nil {
			return nil, c.fail("save", l.Dir, err)
		}
		fillings[i] = textFilling(quoted)
	}
	return fillings, nil
}

func (c *contents) saveTo(l *Local, d *Destination) (path string, err error) {
	defer c.file.Close()
	to, err := l.create(*c.Entry, d)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	_, err = c.copyTo(to)
	return to.Name(), err
}

// create opens the file that e becomes. It overwrites only a file with the name that the user has
// asked for.
func (l *Local) create(e Entry, d *Destination) (*os.File, error) {
	if l.Name != "" {
		e.Name = l.Name
	}
	for {
		fresh := len(d.taken) > 0 || l.Name == ""
		flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
		if fresh {
			flags |= os.O_EXCL
		}
		file, err := os.OpenFile(filepath.Join(l.Dir, d.name(e)), flags, 0o666)
		if fresh && errors.Is(err, fs.ErrExist) {
			continue // name gives the next number
		}
		if err != nil {
			return nil, fmt.Errorf("create: %w", err)
		}
		return file, nil
	}
}
