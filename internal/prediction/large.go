package prediction

import (
	"bytes"
	"encoding/json"
	"io"
)

// Insert is JSON text that belongs at an offset of an output but is not held in memory.
type Insert struct {
	At   int
	Text Text
}

// Text writes itself, always the same Len bytes.
type Text interface {
	Len() int
	io.WriterTo
}

// OutputLen is the length of the output's JSON text.
func (s Snapshot) OutputLen() int { return outputLen(s.Output, s.Inserts) }

func outputLen(output json.RawMessage, inserts []Insert) int {
	n := len(output)
	for _, in := range inserts {
		n += in.Text.Len()
	}
	return n
}

// AppendOutput appends the output's JSON text, null when there is none.
func (s Snapshot) AppendOutput(dst []byte) []byte {
	if len(s.Inserts) == 0 {
		return appendRaw(dst, s.Output, "null")
	}
	b := bytes.NewBuffer(dst)
	if s.writeOutput(b) != nil { // the disk fails
		return append(dst, "null"...)
	}
	return b.Bytes()
}

func (s Snapshot) writeOutput(w io.Writer) error {
	from := 0
	for _, in := range s.Inserts {
		if _, err := w.Write(s.Output[from:in.At]); err != nil {
			return err
		}
		if _, err := in.Text.WriteTo(w); err != nil {
			return err
		}
		from = in.At
	}
	_, err := w.Write(s.Output[from:])
	return err
}

// largeBytes is from where on a copy of input and output is worth avoiding.
const largeBytes = 1 << 20

// Large reports whether the JSON object should be written with WriteJSON.
func (s Snapshot) Large() bool { return s.bodies() >= largeBytes }

// WriteJSON writes what AppendJSON appends, without a copy of input and output. It calls length with the number of bytes
// before.
func (s Snapshot) WriteJSON(w io.Writer, length func(n int)) error {
	if s.Input == nil {
		s.Input = json.RawMessage("{}")
	}
	if s.Output == nil {
		s.Output = json.RawMessage("null")
	}
	head, tail := s.appendHead(nil), s.appendTail(nil)
	length(len(head) + len(outputKey) + len(tail) + s.bodies())
	for _, part := range [][]byte{head, s.Input, []byte(outputKey)} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	if err := s.writeOutput(w); err != nil {
		return err
	}
	_, err := w.Write(tail)
	return err
}
