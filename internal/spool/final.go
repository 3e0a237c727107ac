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
)

// A note with the end of a prediction has that as its last member, "final". An output of which a
// part is on disk is kept in a file next to the entry, because it may be much larger than what
// anybody should have in memory; in the note it is null.
const (
	outputSuffix = ".output"
	noOutput     = "null"
)

// Text writes itself, always the same Len bytes.
type Text interface {
	Len() int
	io.WriterTo
}

// End is what a note says of the end of a prediction.
type End struct {
	Final    Text // a JSON object
	Output   Text // nil: Final has it
	OutputAt int  // where in Final it belongs, in the place of a null
}

// PutEnd writes the note of id: head, a JSON object with members, and then "final", which is e. It
// returns the whole final, which is read from the disk whenever it is written. On a full disk the
// note may take the room that KeepRoom has kept.
func (j *Journal) PutEnd(id string, head []byte, e End) (Text, error) {
	var err error
	if e.Output != nil {
		err = j.insist(false, func() error { return j.write(id, outputSuffix, e.Output) })
	}
	head = append(head[:len(head)-1:len(head)-1], `,"final":`...)
	if err == nil {
		err = j.insist(true, func() error { return j.write(id, jsonSuffix, literal(head), e.Final, literal("}")) })
	}
	if err != nil {
		if !j.Has(id) {
			err = errors.Join(err, j.forget(id, outputSuffix))
		}
		return nil, fmt.Errorf("note %s in %s: %w", id, j.name, err)
	}
	return j.stored(id, len(head), e.Final.Len(), e.OutputAt, e.Output), nil
}

// End returns the whole final of a note that was read, given the one that stands in the note.
func (j *Journal) End(id string, note, final []byte, outputAt int) (Text, error) {
	at := bytes.LastIndex(note, final)
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
	note := j.file(id, jsonSuffix)
	if output == nil {
		return stored{j.dir, []part{{note, int64(at), int64(size)}}}
	}
	after := outputAt + len(noOutput)
	return stored{j.dir, []part{
		{note, int64(at), int64(outputAt)},
		{j.file(id, outputSuffix), 0, int64(output.Len())},
		{note, int64(at + after), int64(size - after)},
	}}
}

// Output opens the output that is kept beside the note of id. It can be read after the note was
// removed.
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

// TextIn is the text in a file, which it owns from now on.
func TextIn(file *os.File) (Text, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return opened{file, info.Size()}, nil
}

// CopyOutput lets the note of id have the output that it has in another journal.
func (j *Journal) CopyOutput(id string, from *Journal) error {
	err := os.Link(from.path(id, outputSuffix), j.path(id, outputSuffix))
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// file is the name of a file of id, below the directory of the journal's.
func (j *Journal) file(id, suffix string) string { return filepath.Join(j.name, FileID(id)+suffix) }

func (j *Journal) path(id, suffix string) string { return j.dir.join(j.file(id, suffix)) }

func (j *Journal) forget(id, suffix string) error { return remove(j.path(id, suffix)) }

// write writes a whole file of these parts, none of which need be in memory.
func (j *Journal) write(id, suffix string, parts ...io.WriterTo) error {
	return j.dir.place(j.file(id, suffix), func(fd int) error {
		out := bufio.NewWriterSize(fdWriter(fd), 64<<10)
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

// stored is text in these parts of files, which are opened whenever it is written.
type stored struct {
	dir   *Dir
	parts []part
}

type part struct {
	name  string
	at, n int64
}

// Len is the length of the text.
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

// opened is the text in a file.
type opened struct {
	file *os.File // closed when nothing refers to it
	n    int64
}

// Len is the length of the text.
func (o opened) Len() int { return int(o.n) }

// WriteTo writes the text; it may be called from several goroutines at once.
func (o opened) WriteTo(w io.Writer) (int64, error) { return copyPart(w, o.file, 0, o.n) }

func copyPart(w io.Writer, file *os.File, at, n int64) (int64, error) {
	return io.CopyBuffer(onlyWriter{w}, io.NewSectionReader(file, at, n), make([]byte, min(n, 64<<10)+1))
}

// onlyWriter keeps io.CopyBuffer to its buffer.
type onlyWriter struct{ io.Writer }
