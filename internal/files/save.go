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

// Local is a directory of the person who runs a model at the command line. It takes the files of
// one prediction.
type Local struct {
	Dir   string            // where files are put; the output names them relative to it
	Name  string            // of the first file, which may be overwritten; "": each keeps its own and overwrites nothing
	Saved func(path string) // told of each file
	Count int               // files put there until now
}

// save copies every file to l and returns their paths in the order of entries.
func (p *Publisher) save(ctx context.Context, l *Local, d *Destination, entries []Entry) ([]filling, error) {
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
		fillings[i] = filling{size: len(quoted), fill: func(dst []byte) error { copy(dst, quoted); return nil }}
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

// create opens the file that e becomes. Only a file with the name that was asked for is
// overwritten.
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
