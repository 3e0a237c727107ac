package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
)

// Error says which file could not be moved, in words for the client. It contains neither the query
// nor the user of a URL, because both may be credentials. Unwrap returns the cause: a StatusError,
// a TooLargeError, the cause of a canceled context, or an error of the system.
type Error struct {
	File  string // "input image", "output images/0"
	Op    string // "GET", "PUT", "decode", "read"
	Where string // the URL or the path
	Err   error
}

func (e *Error) Error() string {
	op := strings.TrimSpace(e.Op + " " + e.Where)
	return fmt.Sprintf("%s: %s: %v", e.File, op, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// StatusError is an HTTP status other than success.
type StatusError int

func (e StatusError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", int(e), http.StatusText(int(e))))
}

// TooLargeError is the limit in bytes that a file exceeds.
type TooLargeError int64

func (e TooLargeError) Error() string {
	return fmt.Sprintf("the file is larger than the limit of %d bytes", int64(e))
}

// label names a file for people by the JSON pointer that it belongs to.
func label(kind, pointer string) string {
	plain := strings.NewReplacer("~1", "/", "~0", "~").Replace(strings.TrimPrefix(pointer, "/"))
	return strings.TrimSpace(kind + " " + plain)
}

// shown returns u without its query, fragment and user, which may be secret.
func shown(u *url.URL) string {
	bare := url.URL{
		Scheme: u.Scheme, Opaque: u.Opaque, Host: u.Host, Path: u.Path, RawPath: u.RawPath,
	}
	return bare.String()
}

// cause unwraps the errors in which net/http repeats the whole URL and os the path.
func cause(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	if wrapped, ok := errors.AsType[*fs.PathError](err); ok {
		return wrapped.Err
	}
	return err
}

// transient reports whether the same request may succeed a moment later. It calls any other error
// final: a refusal by the dialer, a certificate, a bad redirect.
func transient(err error) bool {
	if status, ok := errors.AsType[StatusError](err); ok {
		return status >= 500 || status == http.StatusTooManyRequests ||
			status == http.StatusRequestTimeout
	}
	if lookup, ok := errors.AsType[*net.DNSError](err); ok {
		return lookup.IsTemporary || lookup.IsTimeout
	}
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		return slices.Contains([]syscall.Errno{
			syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE,
			syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENETUNREACH,
		}, number)
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
