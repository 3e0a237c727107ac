package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/coggo/coggo/internal/outbound"
	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/weburl"
)

// maxRetryWait bounds the time between two attempts, even if the receiver asks for more.
const maxRetryWait = 30 * time.Second

// drained is how much of an answer is read so that its connection can be reused.
const drained = 16 << 10

// statusError is an answer that does not acknowledge the webhook.
type statusError struct {
	status int
	after  time.Duration // what Retry-After asks for
}

func (e *statusError) Error() string { return fmt.Sprintf("the receiver answered %d", e.status) }

// again reports whether the receiver may accept it later.
func (e *statusError) again() bool {
	switch e.status {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}

// deliver sends the terminal event until the receiver has acknowledged or refused it, or the
// attempts are used up. It reports false if the sender was stopped before.
func (s *Sender) deliver(t Target, body Body) bool {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = s.RetryWait, maxRetryWait
	wait.Multiplier, wait.RandomizationFactor = 2, 0.1
	attempt := 0
	var last error
	_, _ = backoff.Retry(s.stopping, func() (struct{}, error) {
		if err := s.stopping.Err(); err != nil { // thousands may end now, and each attempt costs time
			return struct{}{}, backoff.Permanent(err)
		}
		attempt++
		ctx, cancel := context.WithTimeout(s.stopping, s.Timeout)
		defer cancel()
		err := s.attempt(ctx, t, prediction.WebhookCompleted, body, attempt)
		last = err
		if refused, ok := errors.AsType[*statusError](err); ok {
			switch {
			case !refused.again():
				err = backoff.Permanent(err)
			case refused.after > 0:
				err = backoff.RetryAfter(int(refused.after.Seconds()))
			}
		}
		return struct{}{}, err
	}, backoff.WithBackOff(wait), backoff.WithMaxTries(s.Attempts), backoff.WithMaxElapsedTime(0))
	if attempt > 0 && last == nil {
		return true
	}
	left := Undelivered{t.ID, host(t.URL), attempt}
	if s.stopping.Err() != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.left = append(s.left, left)
		return false
	}
	s.GaveUp(left, bare(last))
	return true
}

// host returns the part of an address that a log may show. The rest may be known to the receiver
// alone.
func host(address string) string {
	u, err := weburl.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// bare unwraps the errors in which net/http repeats the whole address.
func bare(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

// attempt posts body once.
func (s *Sender) attempt(
	ctx context.Context, t Target, e prediction.WebhookEvent, body Body, number int,
) error {
	end := func(error) {}
	if t.Trace != nil {
		t.Header, end = t.Trace(e, number)
	}
	err := s.post(ctx, t, e, body)
	end(err)
	result := "delivered"
	if err != nil {
		result = "failed"
	}
	s.Observe(e, number, result)
	return err
}

func (s *Sender) post(ctx context.Context, t Target, e prediction.WebhookEvent, body Body) error {
	to, err := weburl.Parse(t.URL)
	if err != nil {
		return backoff.Permanent(err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), open(body))
	if err != nil {
		return backoff.Permanent(err)
	}
	r.ContentLength = int64(body.Len())
	r.GetBody = func() (io.ReadCloser, error) { return open(body), nil } // for a redirect
	maps.Copy(r.Header, t.Header)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", s.UserAgent)
	s.authorize(r.Header, r.URL)
	if err := s.sign(r.Header, t.ID, e, body); err != nil {
		return err
	}
	response, err := s.client.Do(r)
	if errors.As(err, new(*outbound.PrivateAddressError)) {
		return backoff.Permanent(err)
	}
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, drained) // the contents do not matter
	if response.StatusCode >= 200 && response.StatusCode < 300 {
		return nil
	}
	return &statusError{response.StatusCode, retryAfter(response.Header.Get("Retry-After"))}
}

func retryAfter(text string) time.Duration {
	seconds, err := strconv.Atoi(text)
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxRetryWait)
}

// sameMethodOnly follows the redirects that keep a POST a POST, to hosts to which a webhook may go.
// Any other redirect is the answer itself, and does not acknowledge. Credentials stay with their
// receiver: net/http would send them to another port too, and to hosts below.
func sameMethodOnly(r *http.Request, via []*http.Request) error {
	switch r.Response.StatusCode {
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return http.ErrUseLastResponse
	}
	if len(via) >= 10 || r.URL.Scheme != "http" && r.URL.Scheme != "https" {
		return http.ErrUseLastResponse
	}
	if !sameReceiver(via[0].URL, r.URL) {
		r.Header.Del("Authorization")
	}
	r.Header.Del("Referer") // net/http names the last address there, and its query may have a key
	return nil
}
