package webhook

import (
	"bytes"
	"io"
	"sync"
)

// Body is the body of a webhook. It writes itself, the same Len bytes each time. So a large one is
// not copied for each receiver that hangs, and need not be in memory.
type Body interface {
	Len() int
	io.WriterTo
}

// Bytes is a Body in memory.
type Bytes []byte

// Len returns the length of b.
func (b Bytes) Len() int { return len(b) }

// WriteTo writes b.
func (b Bytes) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(b)
	return int64(n), err
}

// smallBody is the size up to which a copy costs less than a goroutine that reads the body.
const smallBody = 4 << 10

// open returns a reader of body. It starts reading only on demand, because thousands may wait for a
// connection.
func open(body Body) io.ReadCloser {
	if body.Len() <= smallBody {
		var b bytes.Buffer
		if _, err := body.WriteTo(&b); err == nil {
			return io.NopCloser(&b)
		}
	}
	l := &lazyReader{body: body}
	l.PipeReader, l.to = io.Pipe()
	return l
}

type lazyReader struct {
	*io.PipeReader
	to    *io.PipeWriter
	body  Body
	begin sync.Once
}

func (l *lazyReader) Read(p []byte) (int, error) {
	l.begin.Do(func() {
		go func() {
			_, err := l.body.WriteTo(l.to) // ends once the reader is closed
			_ = l.to.CloseWithError(err)
		}()
	})
	return l.PipeReader.Read(p)
}
