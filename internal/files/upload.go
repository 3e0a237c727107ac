package files

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/coggo/coggo/internal/weburl"
)

// upload sends every file to prefix/name, several at once, and returns their URLs in the order of
// entries.
func (p *Publisher) upload(
	ctx context.Context, prefix string, d *Destination, entries []Entry,
) ([]filling, error) {
	base, err := weburl.Parse(prefix)
	if err != nil {
		return nil, fmt.Errorf("output: the upload URL %w", err)
	}
	header := d.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set("X-Prediction-ID", headerText(d.ID))
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = d.name(e)
	}
	fillings := make([]filling, len(entries))
	err = each(ctx, len(entries), func(ctx context.Context, i int) error {
		c, err := p.inspect(&entries[i])
		if err != nil {
			return err
		}
		file, err := c.sendable()
		if file != c.file {
			_ = c.file.Close()
		}
		if err != nil {
			return c.fail("read", c.Path, cause(err))
		}
		defer file.Close()
		c.file = file
		to := below(base, names[i])
		address, err := p.put(ctx, c, to, header)
		if err != nil {
			return c.fail(http.MethodPut, shown(to), err)
		}
		quoted, err := jsontext.AppendQuote(nil, address)
		fillings[i] = textFilling(quoted)
		return err
	})
	return fillings, err
}

// below returns the URL of name below base. url.JoinPath would make one slash of two, which is
// another URL.
func below(base *url.URL, name string) *url.URL {
	to := *base
	to.RawPath = strings.TrimSuffix(base.EscapedPath(), "/") + "/" + url.PathEscape(name)
	to.Path, _ = url.PathUnescape(to.RawPath) // it was parsed before
	return &to
}

// maxDiscarded bounds the bytes of a response that are read only to reuse its connection.
const maxDiscarded = 64 << 10

// put uploads one file and returns the URL under which the receiver keeps it.
func (p *Publisher) put(
	ctx context.Context, c *contents, to *url.URL, header http.Header,
) (string, error) {
	t := newTransfer(p.Client, p.UserAgent, p.Attempts, p.RetryWait, p.Stall)
	return attempt(ctx, t, func() (address string, err error) {
		r, err := c.request(ctx, to)
		if err != nil {
			return "", err
		}
		err = t.send(r, header, func(response *http.Response) error {
			// A connection can be reused only after its response was read.
			_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxDiscarded))
			location, err := response.Location()
			if err != nil {
				location = response.Request.URL
			}
			address = shown(location)
			return nil
		})
		return address, err
	})
}

// sendable is like lasting, but for the time of an upload. It does not copy a file of the model
// that no process has open for writing.
func (c *contents) sendable() (*os.File, error) {
	if !c.Temporary && lease(c.file, forReaders) {
		return c.file, nil
	}
	return c.lasting()
}

func (c *contents) request(ctx context.Context, to *url.URL) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, to.String(), c.body())
	if err != nil {
		return nil, err
	}
	r.GetBody = func() (io.ReadCloser, error) { return c.body(), nil } // for a redirect
	r.ContentLength = c.size
	r.Header.Set("Content-Type", c.mediaType)
	return r, nil
}

// body returns the bytes that the file had when it was inspected.
func (c *contents) body() io.ReadCloser {
	if c.size == 0 {
		return http.NoBody // because net/http would send another empty body chunked
	}
	return io.NopCloser(io.NewSectionReader(c.file, 0, c.size))
}

// name returns the base name of e, with a number if the prediction has used the name before.
func (d *Destination) name(e Entry) string {
	if d.taken == nil {
		d.taken = map[string]bool{}
	}
	base := e.name()
	ext := filepath.Ext(base)
	name := base
	for n := 1; d.taken[name]; n++ {
		name = fmt.Sprintf("%s-%d%s", strings.TrimSuffix(base, ext), n, ext)
	}
	d.taken[name] = true
	return name
}

// headerText returns id as the value of a header: percent-encoded unless it is printable ASCII.
func headerText(id string) string {
	for i := range len(id) {
		if id[i] < ' ' || id[i] > '~' {
			return url.PathEscape(id)
		}
	}
	return id
}
