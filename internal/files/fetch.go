// Package files moves the contents of files in and out: URLs of inputs become files, and files of
// outputs become data URLs or are uploaded. The only thing that it knows of a prediction is its id.
package files

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/coggo/coggo/internal/weburl"
)

// Fetcher turns http, https and data URLs into files. It may be used from several goroutines.
type Fetcher struct {
	Client    *http.Client // nil: http.DefaultClient; its redirect policy is replaced
	UserAgent string
	MaxBytes  int64         // of one file; 0: no limit
	Attempts  uint          // for one file; 0: 4
	RetryWait time.Duration // before the second attempt, growing after it; 0: 200 ms
	Stall     time.Duration // a download fails after so long without a byte; 0: one minute
	Store     Finder        // uploaded files, taken from here instead of over HTTP; may be nil
}

// Source is the URL of a file and the JSON pointer of its input.
type Source struct{ Pointer, URL string }

// Inline reports whether the URL contains the file itself, so that nothing is downloaded.
func (s Source) Inline() bool {
	scheme, _, _ := strings.Cut(s.URL, ":")
	return strings.EqualFold(scheme, "data")
}

// Placed is a fetched file. Path is absolute.
type Placed struct{ Pointer, Path string }

// Fetch places the file of each source in its own directory (dir/0/name and so on), up to 8 at
// once, and returns them in the order of sources. downloadName chooses the name. Fetch sends header
// with each request. After an error, mostly an *Error, or when ctx ends, Fetch has removed all
// files.
func (f *Fetcher) Fetch(
	ctx context.Context, dir string, sources []Source, header http.Header,
) ([]Placed, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	slot := func(i int) string { return filepath.Join(dir, strconv.Itoa(i)) }
	placed := make([]Placed, len(sources))
	err = each(ctx, len(sources), func(ctx context.Context, i int) error {
		path, err := f.place(ctx, slot(i), sources[i], header)
		placed[i] = Placed{sources[i].Pointer, path}
		return err
	})
	if err == nil {
		return placed, nil
	}
	for i := range sources {
		if remove := os.RemoveAll(slot(i)); remove != nil {
			err = errors.Join(err, remove)
		}
	}
	return nil, err
}

func (f *Fetcher) place(
	ctx context.Context, dir string, source Source, header http.Header,
) (string, error) {
	file := label("input", source.Pointer)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", &Error{file, "write", "", cause(err)}
	}
	if source.Inline() {
		_, rest, _ := strings.Cut(source.URL, ":")
		path, err := f.decode(dir, rest)
		if err != nil {
			return "", &Error{file, "decode", "data: URL", cause(err)}
		}
		return path, nil
	}
	target, err := weburl.Parse(source.URL)
	if err != nil {
		return "", &Error{file, "fetch", "", err}
	}
	if f.Store != nil {
		about, contents, err := f.Store.Find(target)
		if err == nil {
			defer contents.Close()
			path := filepath.Join(dir, about.Name)
			if err := f.write(path, contents); err != nil {
				return "", &Error{file, "write", "", cause(err)}
			}
			return path, nil
		}
		if !errors.Is(err, ErrNotStored) {
			return "", &Error{file, "read", shown(target), cause(err)}
		}
	}
	if mayBeStored(target) {
		target = target.JoinPath(storedDownload)
	}
	path, err := f.download(ctx, dir, target, header)
	if err != nil {
		return "", &Error{file, http.MethodGet, shown(target), err}
	}
	return path, nil
}

func (f *Fetcher) download(
	ctx context.Context, dir string, target *url.URL, header http.Header,
) (string, error) {
	t := newTransfer(f.Client, f.UserAgent, f.Attempts, f.RetryWait, f.Stall)
	return attempt(ctx, t, func() (path string, err error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
		if err != nil {
			return "", err
		}
		// Encoding for the transfer costs both sides time. A source that stores the file encoded
		// sends it encoded anyway.
		r.Header.Set("Accept-Encoding", "identity")
		err = t.send(r, header, func(response *http.Response) error {
			if f.MaxBytes > 0 && response.ContentLength > f.MaxBytes {
				return TooLargeError(f.MaxBytes)
			}
			body, err := decoded(response, f.MaxBytes)
			if err != nil {
				return err
			}
			path = filepath.Join(dir, downloadName(target, response.Header))
			return f.write(path, body)
		})
		return path, err
	})
}

// decode places the file of a data URL, given without its scheme.
func (f *Fetcher) decode(dir, text string) (string, error) {
	mediaType, body, err := parseData(text)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "file"+extension(mediaType))
	return path, f.write(path, body)
}

func (f *Fetcher) write(path string, body io.Reader) (err error) {
	file, err := create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if f.MaxBytes > 0 {
		body = io.LimitReader(body, f.MaxBytes+1)
	}
	n, err := io.Copy(file, body)
	if err == nil && f.MaxBytes > 0 && n > f.MaxBytes {
		return TooLargeError(f.MaxBytes)
	}
	return err
}

// create makes a new file. It replaces one of an earlier attempt, or one that a model has put
// there.
func create(path string) (*os.File, error) {
	const flags = os.O_CREATE | os.O_EXCL | os.O_WRONLY
	file, err := os.OpenFile(path, flags, 0o600)
	if !errors.Is(err, fs.ErrExist) {
		return file, err
	}
	if err := os.RemoveAll(path); err != nil {
		return nil, err
	}
	return os.OpenFile(path, flags, 0o600)
}
