package files

import (
	"encoding/base64"
	"io"
	"os"
)

// Insert is JSON text that belongs at an offset of an output.
type Insert struct {
	At   int
	Text *DataURL
}

// DataURL is the JSON string of a file that no longer has a name. Several goroutines may write it
// at once: each one reads the file.
type DataURL struct {
	head string
	file *os.File // the garbage collector closes it
	size int64
}

// Len is the length of the text.
func (d *DataURL) Len() int {
	return len(d.head) + base64.StdEncoding.EncodedLen(int(d.size)) + len(`"`)
}

// encodedAtOnce is how many bytes of a file are in memory at a time. It is a multiple of three, so
// that only the end has padding.
const encodedAtOnce = 3 << 16

// WriteTo writes the text.
func (d *DataURL) WriteTo(w io.Writer) (written int64, err error) {
	put := func(text []byte) {
		if err == nil {
			var n int
			n, err = w.Write(text)
			written += int64(n)
		}
	}
	put([]byte(d.head))
	chunk := make([]byte, min(d.size, encodedAtOnce))
	var text []byte
	for at := int64(0); at < d.size && err == nil; at += int64(len(chunk)) {
		chunk = chunk[:min(d.size-at, int64(len(chunk)))]
		if _, failed := d.file.ReadAt(chunk, at); failed != nil {
			return written, failed
		}
		text = base64.StdEncoding.AppendEncode(text[:0], chunk)
		put(text)
	}
	put([]byte{'"'})
	return written, err
}
