package httpapi

import (
	"io"
	"net/http"
)

// counted tells Bytes how large the bodies of each exchange were.
func (a *API) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := countingWriter{ResponseWriter: w}
		in := countingReader{ReadCloser: r.Body}
		r.Body = &in
		next.ServeHTTP(&out, r)
		a.Bytes(in.n, out.n)
	})
}

type countingReader struct {
	io.ReadCloser
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n += int64(n)
	return n, err
}

type countingWriter struct {
	http.ResponseWriter
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.n += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach what is underneath.
func (c *countingWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
