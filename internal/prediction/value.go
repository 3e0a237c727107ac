package prediction

import (
	"bytes"
	"encoding/json"
	"io"
)

// Value is JSON text. Parts of it may be on disk. It never changes, so any number of readers can
// share it.
type Value struct {
	Raw     json.RawMessage // nil: no value, shown as null
	Inserts []Insert        // texts to insert into Raw, in order
}

// Insert is JSON text that belongs at an offset of a Value but is not in memory.
type Insert struct {
	At   int
	Text Text
}

// Text writes itself: the same Len bytes each time.
type Text interface {
	Len() int
	io.WriterTo
}

// Encoded is a Text that is made of shorter contents, as a data URL is made of a file.
type Encoded interface {
	Text
	Size() int64 // of the contents
	MediaType() string
	WriteContents(w io.Writer) (int64, error)
}

// Part is the contents of an Encoded text in the place of the text.
type Part struct {
	At   int64
	Text Encoded
}

// contents is the Text of what an Encoded text is made of.
type contents struct{ Encoded }

func (c contents) Len() int                           { return int(c.Size()) }
func (c contents) WriteTo(w io.Writer) (int64, error) { return c.WriteContents(w) }

// Decoded returns v with the contents of each Encoded text in the place of it, and where in the
// result they are. What it writes is not JSON.
func (v Value) Decoded() (Value, []Part) { return v.decoded(0) }

// decoded is Decoded for a value at an offset.
func (v Value) decoded(at int64) (Value, []Part) {
	var parts []Part
	out := Value{Raw: v.Raw}
	for _, in := range v.Inserts {
		if e, ok := in.Text.(Encoded); ok {
			parts = append(parts, Part{at + int64(in.At), e})
			in.Text = contents{e}
		}
		at += int64(in.Text.Len())
		out.Inserts = append(out.Inserts, in)
	}
	return out, parts
}

// Len returns the length of the text, 0 if there is no value.
func (v Value) Len() int {
	n := len(v.Raw)
	for _, in := range v.Inserts {
		n += in.Text.Len()
	}
	return n
}

// StoredLen returns the length with the contents of each Encoded text in the place of it.
func (v Value) StoredLen() int {
	if len(v.Inserts) == 0 {
		return len(v.Raw)
	}
	plain, _ := v.decoded(0)
	return plain.Len()
}

// held returns the number of bytes in memory.
func (v Value) held() int { return len(v.Raw) + insertBytes*len(v.Inserts) }

// insertBytes is the approximate memory of an Insert.
const insertBytes = 128

// WriteTo writes the text, or nothing if there is no value.
func (v Value) WriteTo(w io.Writer) (written int64, err error) {
	from := 0
	for _, in := range v.Inserts {
		n, err := w.Write(v.Raw[from:in.At])
		written += int64(n)
		if err != nil {
			return written, err
		}
		more, err := in.Text.WriteTo(w)
		written += more
		if err != nil {
			return written, err
		}
		from = in.At
	}
	n, err := w.Write(v.Raw[from:])
	return written + int64(n), err
}

// Append appends the text to dst. It appends null if there is no value, or if a part can't be read.
func (v Value) Append(dst []byte) []byte {
	if len(v.Inserts) == 0 {
		return appendRaw(dst, v.Raw, "null")
	}
	b := bytes.NewBuffer(dst)
	if _, err := v.WriteTo(b); err != nil {
		return append(dst, "null"...)
	}
	return b.Bytes()
}
