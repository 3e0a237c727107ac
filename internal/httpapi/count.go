package httpapi

import (
	"io"
	"net/http"
)

// counted tells Bytes how large the bodies of each exchange were. The request is copied: net/http
// looks at the body of its own before it writes an answer, and would wait for the rest of one that
// it does not know.
func (a *API) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := countingWriter{ResponseWriter: w}
		in := countingReader{ReadCloser: r.Body}
		copied := *r
		copied.Body = &in
		next.ServeHTTP(&out, &copied)
		if r.ContentLength != 0 && !in.ended {
			linger(w, r)
		}
		a.Bytes(in.n, out.n)
	})
}

// rejecting tells Rejected why a request for a prediction was refused.
func (a *API) rejecting(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := next(w, r)
		if refused, _ := refusal(err); refused != nil {
			a.Rejected(string(refused.Code))
		} else if err != nil && r.Context().Err() == nil {
			a.Rejected("internal")
		}
		return err
	}
}

type countingReader struct {
	io.ReadCloser
	n     int64
	ended bool // nothing more comes
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n += int64(n)
	c.ended = c.ended || err != nil
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
