package httpapi

import (
	"io"
	"net/http"
)

// counted reports the sizes of the bodies of each exchange to Bytes. It copies the request: before
// net/http writes an answer it checks its own body, and it would wait for the rest of a body that
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

// rejecting reports to Rejected why a prediction was refused.
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
	ended bool // the body has ended
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

// Unwrap lets http.ResponseController reach the wrapped writer.
func (c *countingWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
