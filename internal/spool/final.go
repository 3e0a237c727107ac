package spool

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// An entry with the end of a prediction has it as its last member, "final". If a part of the output
// is on disk, the output may be too large for memory: a file next to the entry keeps it, and
// "final" has null in its place.
const (
	outputSuffix = ".output"
	noOutput     = "null"
)

// Text writes itself: the same Len bytes each time.
type Text interface {
	Len() int
	io.WriterTo
}

// End is the end of a prediction for an entry.
type End struct {
	Final    Text // a JSON object
	Output   Text // nil if Final has the output
	OutputAt int  // offset in Final of the null that Output replaces
}

// PutEnd writes the entry of id: head, a JSON object with members, and then "final" from e. It
// returns the whole final, which is read from disk each time it is written. On a full disk, the
// entry may use the space that KeepRoom reserved.
func (j *Journal) PutEnd(id string, head []byte, e End) (Text, error) {
	var err error
	if e.Output != nil {
		err = j.insist(false, func() error { return j.write(id, outputSuffix, e.Output) })
	}
	head = append(head[:len(head)-1:len(head)-1], `,"final":`...)
	if err == nil {
		err = j.insist(true, func() error {
			return j.write(id, jsonSuffix, literal(head), e.Final, literal("}"))
		})
	}
	if err != nil {
		if !j.Has(id) {
			err = errors.Join(err, j.forget(id, outputSuffix))
		}
		return nil, fmt.Errorf("write %s to %s: %w", id, j.name, err)
	}
	return j.stored(id, len(head), e.Final.Len(), e.OutputAt, e.Output), nil
}

// End returns the whole final of an entry, given the entry and the "final" in it.
func (j *Journal) End(id string, entry, final []byte, outputAt int) (Text, error) {
	at := bytes.LastIndex(entry, final)
	if outputAt == 0 {
		return j.stored(id, at, len(final), 0, nil), nil
	}
	output, err := j.Output(id)
	if err != nil {
		return nil, err
	}
	return j.stored(id, at, len(final), outputAt, output), nil
}

func (j *Journal) stored(id string, at, size, outputAt int, output Text) Text {
	entry := j.file(id, jsonSuffix)
	if output == nil {
		return stored{j.dir, []part{{entry, int64(at), int64(size)}}}
	}
	after := outputAt + len(noOutput)
	return stored{j.dir, []part{
		{entry, int64(at), int64(outputAt)},
		{j.file(id, outputSuffix), 0, int64(output.Len())},
		{entry, int64(at + after), int64(size - after)},
	}}
}

// Output opens the output next to the entry of id. It can be read even after the entry was removed.
func (j *Journal) Output(id string) (Text, error) {
	file, err := j.dir.openText(j.file(id, outputSuffix))
	if err != nil {
		return nil, err
	}
	return TextIn(file)
}

func (d *Dir) openText(name string) (*os.File, error) {
	fd, _, err := d.openFile(name)
	if err != nil {
		return nil, err
	}
	if fd < 0 {
		return nil, &fs.PathError{Op: "open", Path: d.join(name), Err: fs.ErrNotExist}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// TextIn returns the text in a file, and takes over the file.
func TextIn(file *os.File) (Text, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return SectionOf(file, 0, info.Size()), nil
}

// SectionOf is the text of n bytes at an offset of a file, which it owns from now on.
func SectionOf(file *os.File, at, n int64) Text { return opened{file, at, n} }

// CopyOutput links the output of id from another journal to the entry of id in this one.
func (j *Journal) CopyOutput(id string, from *Journal) error {
	err := os.Link(from.path(id, outputSuffix), j.path(id, outputSuffix))
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// file returns the name of a file of id, relative to the working directory.
func (j *Journal) file(id, suffix string) string { return filepath.Join(j.name, FileID(id)+suffix) }

func (j *Journal) path(id, suffix string) string { return j.dir.join(j.file(id, suffix)) }

func (j *Journal) forget(id, suffix string) error { return remove(j.path(id, suffix)) }

// buffers are for write: thousands of predictions may end one after the other.
var buffers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 64<<10) }}

// write writes a file of these parts. The parts need not be in memory.
func (j *Journal) write(id, suffix string, parts ...io.WriterTo) error {
	return j.dir.place(j.file(id, suffix), func(fd int) error {
		out := buffers.Get().(*bufio.Writer)
		defer func() {
			out.Reset(nil)
			buffers.Put(out)
		}()
		out.Reset(fdWriter(fd))
		for _, part := range parts {
			if _, err := part.WriteTo(out); err != nil {
				return err
			}
		}
		return out.Flush()
	})
}

type literal []byte

func (l literal) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(l)
	return int64(n), err
}

// stored is text in parts of files. WriteTo opens the files each time.
type stored struct {
	dir   *Dir
	parts []part
}

type part struct {
	name  string
	at, n int64
}

// Len returns the length of the text.
func (s stored) Len() (n int) {
	for _, part := range s.parts {
		n += int(part.n)
	}
	return n
}

// WriteTo writes the text.
func (s stored) WriteTo(w io.Writer) (written int64, err error) {
	for _, part := range s.parts {
		file, err := s.dir.openText(part.name)
		if err != nil {
			return written, err
		}
		n, err := copyPart(w, file, part.at, part.n)
		written += n
		if err = errors.Join(err, file.Close()); err != nil {
			return written, err
		}
	}
	return written, nil
}

// opened is the text in an open file.
type opened struct {
	file  *os.File // closed by the garbage collector
	at, n int64
}

// Len returns the length of the text.
func (o opened) Len() int { return int(o.n) }

// WriteTo writes the text. Several goroutines may call it at once.
func (o opened) WriteTo(w io.Writer) (int64, error) { return copyPart(w, o.file, o.at, o.n) }

func copyPart(w io.Writer, file *os.File, at, n int64) (int64, error) {
	buf := make([]byte, min(n, 64<<10)+1)
	return io.CopyBuffer(onlyWriter{w}, io.NewSectionReader(file, at, n), buf)
}

// onlyWriter hides ReadFrom, so that io.CopyBuffer uses its buffer.
type onlyWriter struct{ io.Writer }
