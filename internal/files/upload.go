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

// upload sends every file to prefix/name, several at once, and returns their addresses in the order
// of entries.
func (p *Publisher) upload(ctx context.Context, prefix string, d *Destination, entries []Entry) ([]filling, error) {
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
		fillings[i] = filling{size: len(quoted), fill: func(dst []byte) error { copy(dst, quoted); return nil }}
		return err
	})
	return fillings, err
}

// below returns the address of name below base. url.JoinPath would make one slash of two, and so
// another address.
func below(base *url.URL, name string) *url.URL {
	to := *base
	to.RawPath = strings.TrimSuffix(base.EscapedPath(), "/") + "/" + url.PathEscape(name)
	to.Path, _ = url.PathUnescape(to.RawPath) // it was read before
	return &to
}

// put uploads one file and returns the address under which the receiver keeps it.
func (p *Publisher) put(ctx context.Context, c *contents, to *url.URL, header http.Header) (string, error) {
	t := newTransfer(p.Client, p.UserAgent, p.Attempts, p.RetryWait, p.Stall)
	return attempt(ctx, t, func() (address string, err error) {
		r, err := c.request(ctx, to)
		if err != nil {
			return "", err
		}
		err = t.send(r, header, func(response *http.Response) error {
			_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<16)) // lets the connection be used again
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

// sendable is like lasting, but for the time of an upload: a file of the model's own that nobody
// writes to is not copied for it.
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

// body is what the file held when it was inspected, from its beginning.
func (c *contents) body() io.ReadCloser {
	if c.size == 0 {
		return http.NoBody // else net/http would send it chunked
	}
	return io.NopCloser(io.NewSectionReader(c.file, 0, c.size))
}

// name returns the base name of e, with a number when the prediction has uploaded a file of that
// name before.
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

// headerText returns id as the value of a header: as it is when it is printable ASCII, else
// percent-encoded.
func headerText(id string) string {
	for i := range len(id) {
		if id[i] < ' ' || id[i] > '~' {
			return url.PathEscape(id)
		}
	}
	return id
}
