package prediction

import (
	"bytes"
	"encoding/json"
	"io"
)

// Value is JSON text of which parts may stay out of memory. It is never changed, so that any number
// of readers share it.
type Value struct {
	Raw     json.RawMessage // nil: no value, shown as null
	Inserts []Insert        // what belongs into Raw in addition, in order
}

// Insert is JSON text that belongs at an offset of a Value but is not held in memory.
type Insert struct {
	At   int
	Text Text
}

// Text writes itself, always the same Len bytes.
type Text interface {
	Len() int
	io.WriterTo
}

// Len is the length of the text, 0 when there is none.
func (v Value) Len() int {
	n := len(v.Raw)
	for _, in := range v.Inserts {
		n += in.Text.Len()
	}
	return n
}

// held is how much of it is in memory.
func (v Value) held() int { return len(v.Raw) + insertBytes*len(v.Inserts) }

// insertBytes is about what an Insert holds in memory.
const insertBytes = 128

// WriteTo writes the text, nothing when there is none.
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

// Append appends the text to dst, null when there is none or a part can't be read.
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
