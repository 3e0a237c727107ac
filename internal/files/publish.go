package files

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Publisher turns the files of an output into data URLs, into the addresses of their uploads, or
// into paths. It may be used from several goroutines.
type Publisher struct {
	Client    *http.Client // nil: http.DefaultClient; its redirect policy is replaced
	UploadURL string       // files are uploaded below it; "": they become data URLs
	Local     *Local       // files are saved here instead, unless it is nil
	MaxBytes  int64        // of one file; 0: no limit
	KeepOpen  int64        // files of at least this size stay on disk; 0: no file does
	UserAgent string
	Attempts  uint          // for one file; 0: 4
	RetryWait time.Duration // before the second attempt, growing after it; 0: 200 ms
	Stall     time.Duration // an upload fails after so long without a byte; 0: one minute
}

// Entry is a file that belongs at a JSON pointer of the output. Path is absolute. Name is the name
// of the file; "": the last part of Path. Publish removes a temporary file, also after an error.
type Entry struct {
	Pointer, Path string
	Temporary     bool
	Name          string
}

// name returns the name of the file, which goes into URLs and directories and decides the media
// type.
func (e Entry) name() string {
	if filepath.IsLocal(e.Name) && filepath.Base(e.Name) == e.Name && e.Name != "." {
		return e.Name
	}
	return filepath.Base(e.Path)
}

// Destination is where the files of one prediction go. Only one goroutine may use it.
type Destination struct {
	ID     string      // of the prediction, sent with each upload
	URL    string      // this prediction's upload URL; "": the publisher's UploadURL
	Header http.Header // sent with each upload

	taken map[string]bool // names used so far: a file must not overwrite another
}

// Publish replaces each null of output that entries point at by a data URL or the URL of the file;
// every other byte stays. It returns the data URLs of large files as inserts, which are encoded
// from the files whenever they are written. These files do not have names: their space is free
// again when the inserts are garbage. A prediction that yields calls Publish for each item, with
// one Destination. Errors about a file are an *Error.
func (p *Publisher) Publish(
	ctx context.Context, to *Destination, output json.RawMessage, entries []Entry,
) (json.RawMessage, []Insert, error) {
	if len(entries) == 0 {
		return output, nil, nil
	}
	defer removeTemporary(entries)
	offsets, err := locate(output, entries)
	if err != nil {
		return nil, nil, err
	}
	var fillings []filling
	switch url := p.uploadURL(to); {
	case p.Local != nil:
		fillings, err = p.save(ctx, p.Local, to, entries)
	case url != "":
		fillings, err = p.upload(ctx, url, to, entries)
	default:
		fillings, err = p.inline(entries)
	}
	if err != nil {
		return nil, nil, err
	}
	for i := range fillings {
		fillings[i].at = offsets[i]
	}
	return splice(ctx, output, fillings)
}

// Uploads reports whether the files of a destination are sent to another host.
func (p *Publisher) Uploads(to *Destination) bool { return p.Local == nil && p.uploadURL(to) != "" }

func (p *Publisher) uploadURL(to *Destination) string { return cmp.Or(to.URL, p.UploadURL) }

func removeTemporary(entries []Entry) {
	for _, e := range entries {
		if e.Temporary {
			_ = os.Remove(e.Path) // after an error: it is removed with its directory
		}
	}
}

// contents is an open output file with its size and media type.
type contents struct {
	*Entry
	file      *os.File
	size      int64
	mediaType string
}

func (c *contents) fail(op, where string, err error) error {
	return &Error{label("output", c.Pointer), op, where, err}
}

// inspect opens a file and finds its size and media type. The caller closes it.
func (p *Publisher) inspect(e *Entry) (*contents, error) {
	c := &contents{Entry: e}
	file, err := open(e.Path)
	if err != nil {
		return nil, c.fail("read", e.Path, cause(err))
	}
	c.file = file
	info, err := file.Stat()
	switch {
	case err != nil:
	case p.MaxBytes > 0 && info.Size() > p.MaxBytes:
		err = TooLargeError(p.MaxBytes)
	default:
		c.size = info.Size()
		c.mediaType, err = MediaTypeOf(e.name(), file)
	}
	if err != nil {
		_ = file.Close()
		return nil, c.fail("read", e.Path, cause(err))
	}
	return c, nil
}

// open opens a regular file for reading. If a model has put a pipe in its place, open does not wait
// for a writer.
func open(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("this is not a regular file")
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// inline prepares data URLs.
func (p *Publisher) inline(entries []Entry) ([]filling, error) {
	fillings := make([]filling, len(entries))
	for i := range entries {
		c, err := p.inspect(&entries[i])
		if err != nil {
			return nil, err
		}
		if p.KeepOpen > 0 && c.size >= p.KeepOpen {
			file, err := c.lasting()
			if file != c.file {
				_ = c.file.Close()
			}
			if err != nil {
				return nil, c.fail("read", c.Path, cause(err))
			}
			fillings[i] = filling{left: NewDataURL(c.mediaType, file, 0, c.size)}
			continue
		}
		_ = c.file.Close() // there may be more files than can be open at once
		head := head(c.mediaType)
		size := len(head) + base64.StdEncoding.EncodedLen(int(c.size)) + len(`"`)
		fillings[i] = filling{size: size, fill: func(dst []byte) error {
			copy(dst, head)
			dst[len(dst)-1] = '"'
			return c.encode(dst[len(head) : len(dst)-1])
		}}
	}
	return fillings, nil
}

// inlinedAtOnce is like encodedAtOnce, for a file that is encoded into the output itself.
const inlinedAtOnce = 3 << 14

// encode writes the base64 text of the file to dst, which has exactly the right size.
func (c *contents) encode(dst []byte) error {
	file, err := open(c.Path)
	if err != nil {
		return c.fail("read", c.Path, cause(err))
	}
	defer file.Close()
	chunk := make([]byte, min(c.size, inlinedAtOnce))
	for left := c.size; left > 0; left -= int64(len(chunk)) {
		chunk = chunk[:min(left, int64(len(chunk)))]
		if _, err := io.ReadFull(file, chunk); err != nil {
			return c.fail("read", c.Path,
				fmt.Errorf("the file has changed in the meantime: %w", err))
		}
		base64.StdEncoding.Encode(dst, chunk)
		dst = dst[base64.StdEncoding.EncodedLen(len(chunk)):]
	}
	return nil
}
