package files

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	parallel     = 8
	maxRedirects = 10
)

// Defaults of the fields of Fetcher and Publisher that are zero.
const (
	defaultAttempts  = 4
	defaultRetryWait = 200 * time.Millisecond
	defaultStall     = time.Minute
)

var errStalled = errors.New("no byte moved for too long")

// transfer sends, repeats and gives up requests, for downloads and uploads alike.
type transfer struct {
	client    *http.Client
	agent     string
	attempts  uint
	retryWait time.Duration
	stall     time.Duration
}

func newTransfer(
	client *http.Client, agent string, attempts uint, retryWait, stall time.Duration,
) transfer {
	own := *cmp.Or(client, http.DefaultClient)
	own.CheckRedirect = checkRedirect
	return transfer{
		client:    &own,
		agent:     agent,
		attempts:  cmp.Or(attempts, defaultAttempts),
		retryWait: cmp.Or(retryWait, defaultRetryWait),
		stall:     cmp.Or(stall, defaultStall),
	}
}

func checkRedirect(next *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("redirected more than %d times", maxRedirects)
	case next.URL.Scheme != "http" && next.URL.Scheme != "https":
		return fmt.Errorf("redirected to the scheme %q", next.URL.Scheme)
	case next.Method != via[0].Method:
		// net/http turns a PUT into a GET at 301, 302 and 303: the file would be lost, and the
		// response a success.
		return fmt.Errorf("redirected from %s to %s", via[0].Method, next.Method)
	}
	next.Header.Del("Referer") // net/http puts the last URL there, and its query may have a key
	return nil
}

// attempt calls try until it succeeds, fails for good, or has failed often enough.
func attempt[T any](ctx context.Context, t transfer, try func() (T, error)) (T, error) {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval = t.retryWait
	value, err := backoff.Retry(ctx, func() (T, error) {
		value, err := try()
		if err != nil && !transient(err) {
			err = backoff.Permanent(err)
		}
		return value, err
	}, backoff.WithBackOff(wait), backoff.WithMaxTries(t.attempts), backoff.WithMaxElapsedTime(0))
	if permanent, ok := errors.AsType[*backoff.PermanentError](err); ok {
		err = permanent.Unwrap()
	}
	return value, err
}

// send sends one request and calls use with the response if that is a success. It gives up when no
// byte moves for t.stall in either direction.
func (t transfer) send(r *http.Request, header http.Header, use func(*http.Response) error) error {
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	timer := time.AfterFunc(t.stall, func() { cancel(errStalled) })
	defer timer.Stop()

	maps.Copy(r.Header, header)
	if t.agent != "" {
		r.Header.Set("User-Agent", t.agent)
	}
	if open := r.GetBody; open != nil && r.Body != http.NoBody {
		r.Body = moving{r.Body, timer, t.stall}
		r.GetBody = func() (io.ReadCloser, error) {
			body, err := open()
			return moving{body, timer, t.stall}, err
		}
	}
	err := t.exchange(r.WithContext(ctx), func(response *http.Response) error {
		response.Body = moving{response.Body, timer, t.stall}
		return use(response)
	})
	if reason := context.Cause(ctx); err != nil && reason != nil {
		return reason
	}
	return cause(err)
}

func (t transfer) exchange(r *http.Request, use func(*http.Response) error) error {
	client := *t.client
	client.Jar = newCookies()
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return StatusError(response.StatusCode)
	}
	return use(response)
}

// moving is a body that resets the timer of a stalled transfer with each read.
type moving struct {
	io.ReadCloser
	timer *time.Timer
	limit time.Duration
}

func (m moving) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	m.timer.Reset(m.limit)
	return n, err
}

// each calls do for 0 to n-1, up to parallel at once, and returns when all calls have returned. It
// returns the first error, which cancels the context of the others.
func each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	free := make(chan struct{}, parallel)
	for i := range n {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			if err := context.Cause(ctx); err != nil {
				return
			}
			if err := do(ctx, i); err != nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}
