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
	mediaType string
	file      *os.File // the garbage collector closes it
	at, size  int64    // of the contents in the file
}

// NewDataURL returns the data URL of a section of a file, which it shares with others. The garbage
// collector closes the file.
func NewDataURL(mediaType string, file *os.File, at, size int64) *DataURL {
	return &DataURL{mediaType, file, at, size}
}

// MediaType returns the media type of the contents.
func (d *DataURL) MediaType() string { return d.mediaType }

// Size returns the length of the contents.
func (d *DataURL) Size() int64 { return d.size }

// WriteContents writes the contents, as they are in the file.
func (d *DataURL) WriteContents(w io.Writer) (int64, error) {
	n, err := io.CopyBuffer(
		struct{ io.Writer }{w}, // without ReadFrom, so that the buffer is used
		struct{ io.Reader }{io.NewSectionReader(d.file, d.at, d.size)}, make([]byte, copiedAtOnce))
	if err == nil && n < d.size {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// copiedAtOnce is how many bytes of the contents WriteContents reads at a time.
const copiedAtOnce = 64 << 10

// head is the JSON text before the contents of a file.
func head(mediaType string) string { return `"data:` + mediaType + ";base64," }

// Len is the length of the text.
func (d *DataURL) Len() int {
	return len(head(d.mediaType)) + base64.StdEncoding.EncodedLen(int(d.size)) + len(`"`)
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
	put([]byte(head(d.mediaType)))
	chunk := make([]byte, min(d.size, encodedAtOnce))
	var text []byte
	for at := int64(0); at < d.size && err == nil; at += int64(len(chunk)) {
		chunk = chunk[:min(d.size-at, int64(len(chunk)))]
		if _, failed := d.file.ReadAt(chunk, d.at+at); failed != nil {
			return written, failed
		}
		text = base64.StdEncoding.AppendEncode(text[:0], chunk)
		put(text)
	}
	put([]byte{'"'})
	return written, err
}
