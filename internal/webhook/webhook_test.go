package webhook_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/webhook"
	"github.com/coggo/coggo/internal/weburl"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// receiver is a real server that remembers what it got.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string
	heads  []http.Header
	answer func(n int, w http.ResponseWriter, r *http.Request) // n counts from 1
}

func newReceiver(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) *receiver {
	t.Helper()
	rc := &receiver{answer: answer}
	rc.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		rc.mu.Lock()
		rc.bodies = append(rc.bodies, string(body))
		rc.heads = append(rc.heads, r.Header.Clone())
		n := len(rc.bodies)
		rc.mu.Unlock()
		if rc.answer != nil {
			rc.answer(n, w, r)
		}
	}))
	t.Cleanup(rc.Close)
	return rc
}

func (rc *receiver) got() []string {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return slices.Clone(rc.bodies)
}

func (rc *receiver) wait(t *testing.T, what string, ok func(got []string) bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(rc.got()); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timed out: %s; got %q", what, rc.got())
		}
	}
}

func newSender(t *testing.T, o webhook.Options) *webhook.Sender {
	t.Helper()
	transport := &http.Transport{}
	o.Client = &http.Client{Transport: transport}
	if o.RetryWait == 0 {
		o.RetryWait = time.Millisecond
	}
	s, err := webhook.NewSender(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s.Drain(ctx)
		transport.CloseIdleConnections()
	})
	return s
}

func body(text string) webhook.Body { return webhook.Bytes(text) }

// onDelivered returns a callback for Finish and a channel that it closes; a second call panics.
func onDelivered() (func(), <-chan struct{}) {
	done := make(chan struct{})
	return func() { close(done) }, done
}

func TestTheTerminalEventIsSentOnceAndLast(t *testing.T) {
	rc := newReceiver(t, nil)
	q := newSender(t, webhook.Options{}).Open(webhook.Target{ID: "a", URL: rc.URL}, func() webhook.Body { return webhook.Bytes("partial") })
	q.Start(body("start"))
	rc.wait(t, "start", func(got []string) bool { return len(got) == 1 })
	q.Changed(prediction.WebhookOutput)
	rc.wait(t, "partial", func(got []string) bool { return len(got) == 2 })
	done, ended := onDelivered()
	q.Finish(body("end"), done)
	q.Finish(body("again"), func() { t.Error("the second Finish counted") })
	q.Start(body("late"))
	q.Changed(prediction.WebhookLogs)
	<-ended
	if got := strings.Join(rc.got(), " "); got != "start partial end" {
		t.Errorf("got %q", got)
	}
}

func TestStartIsDeliveredBeforeAnEndThatFollowsAtOnce(t *testing.T) {
	rc := newReceiver(t, nil)
	done, ended := onDelivered()
	q := newSender(t, webhook.Options{}).Open(webhook.Target{ID: "a", URL: rc.URL}, nil)
	q.Start(body("start"))
	q.Finish(body("end"), done)
	<-ended
	if got := strings.Join(rc.got(), " "); got != "start end" {
		t.Errorf("got %q", got)
	}
}

func TestTheFilterSelectsEvents(t *testing.T) {
	for _, row := range []struct {
		events []prediction.WebhookEvent
		want   string
	}{
		{nil, "start partial end"},
		{[]prediction.WebhookEvent{}, ""},
		{[]prediction.WebhookEvent{prediction.WebhookStart}, "start"},
		{[]prediction.WebhookEvent{prediction.WebhookCompleted}, "end"},
		{[]prediction.WebhookEvent{prediction.WebhookOutput, prediction.WebhookCompleted}, "partial end"},
		{[]prediction.WebhookEvent{prediction.WebhookLogs}, ""},
	} {
		t.Run(fmt.Sprint(row.events), func(t *testing.T) {
			rc := newReceiver(t, nil)
			done, ended := onDelivered()
			q := newSender(t, webhook.Options{}).Open(webhook.Target{ID: "a", URL: rc.URL, Events: row.events}, func() webhook.Body { return webhook.Bytes("partial") })
			q.Start(body("start"))
			q.Changed(prediction.WebhookOutput)
			if strings.Contains(row.want, "partial") {
				rc.wait(t, "partial", func(got []string) bool { return slices.Contains(got, "partial") })
			}
			q.Finish(body("end"), done)
			<-ended
			if got := strings.Join(rc.got(), " "); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

func TestUpdatesAreThrottledAtBothEdges(t *testing.T) {
	rc := newReceiver(t, nil)
	var mu sync.Mutex
	state := 0
	q := newSender(t, webhook.Options{Throttle: 50 * time.Millisecond}).Open(webhook.Target{ID: "a", URL: rc.URL, Events: []prediction.WebhookEvent{prediction.WebhookOutput}}, func() webhook.Body {
		mu.Lock()
		defer mu.Unlock()
		return webhook.Bytes(fmt.Appendf(nil, "%d", state))
	})
	q.Start(nil)
	grow := func(n int) {
		mu.Lock()
		state = n
		mu.Unlock()
		q.Changed(prediction.WebhookOutput)
	}
	grow(1)
	rc.wait(t, "the leading edge", func(got []string) bool { return len(got) == 1 })
	for n := 2; n <= 100; n++ {
		grow(n)
	}
	rc.wait(t, "the trailing edge", func(got []string) bool { return got[len(got)-1] == "100" })
	if got := rc.got(); len(got) > 20 {
		t.Errorf("%d updates for 100 changes", len(got))
	}
	done, ended := onDelivered()
	q.Finish(body(""), done)
	<-ended
}

func TestFailedAttemptsAreRetried(t *testing.T) {
	for status, want := range map[int]int{429: 3, 500: 3, 502: 3, 503: 3, 504: 3, 400: 1, 401: 1, 404: 1, 410: 1, 501: 1} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			rc := newReceiver(t, func(n int, w http.ResponseWriter, r *http.Request) {
				if n < 3 {
					w.WriteHeader(status)
				}
			})
			done, ended := onDelivered()
			newSender(t, webhook.Options{}).Redeliver(webhook.Target{ID: "a", URL: rc.URL}, body("end"), done)
			<-ended
			if got := len(rc.got()); got != want {
				t.Errorf("%d attempts, want %d", got, want)
			}
		})
	}
}

func TestTheNumberOfAttemptsIsBounded(t *testing.T) {
	rc := newReceiver(t, func(n int, w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) })
	var mu sync.Mutex
	var seen []string
	observe := func(e prediction.WebhookEvent, attempt int, result string) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, fmt.Sprint(e, attempt, result))
	}
	done, ended := onDelivered()
	newSender(t, webhook.Options{Attempts: 3, Observe: observe}).Redeliver(webhook.Target{ID: "a", URL: rc.URL}, body("end"), done)
	<-ended
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(seen, ","); got != "completed1failed,completed2failed,completed3failed" {
		t.Errorf("observed %s", got)
	}
}

func TestAnUndeliveredWebhookIsReportedWithoutItsAddress(t *testing.T) {
	refusing := newReceiver(t, func(n int, w http.ResponseWriter, r *http.Request) { w.WriteHeader(404) })
	gone := newReceiver(t, nil)
	gone.Close()
	reported := make(chan string, 2)
	s := newSender(t, webhook.Options{Attempts: 2, GaveUp: func(left webhook.Undelivered, reason error) {
		reported <- fmt.Sprintf("%s %s %d %v", left.ID, left.Host, left.Attempts, reason)
	}})
	for id, rc := range map[string]*receiver{"refused": refusing, "gone": gone} {
		done, ended := onDelivered()
		s.Redeliver(webhook.Target{ID: id, URL: rc.URL + "/path?token=secret"}, body("end"), done)
		<-ended
		text := <-reported
		if !strings.HasPrefix(text, id+" "+strings.TrimPrefix(rc.URL, "http://")+" "+map[string]string{"refused": "1 ", "gone": "2 "}[id]) || strings.Contains(text, "secret") || strings.Contains(text, "/path") {
			t.Errorf("reported %q", text)
		}
	}
}

func TestABrokenConnectionIsRetried(t *testing.T) {
	rc := newReceiver(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 1 {
			panic(http.ErrAbortHandler)
		}
	})
	done, ended := onDelivered()
	newSender(t, webhook.Options{}).Redeliver(webhook.Target{ID: "a", URL: rc.URL}, body("end"), done)
	<-ended
	if got := len(rc.got()); got != 2 {
		t.Errorf("%d attempts", got)
	}
}

func TestOnlyTheTerminalEventIsRetried(t *testing.T) {
	rc := newReceiver(t, func(n int, w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) })
	done, ended := onDelivered()
	q := newSender(t, webhook.Options{Attempts: 2}).Open(webhook.Target{ID: "a", URL: rc.URL}, nil)
	q.Start(body("start"))
	q.Finish(body("end"), done)
	<-ended
	if got := strings.Join(rc.got(), " "); got != "start end end" {
		t.Errorf("got %q", got)
	}
}

func TestAHangingUpdateDoesNotDelayTheEnd(t *testing.T) {
	release := make(chan struct{})
	rc := newReceiver(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 1 {
			<-release
		}
	})
	defer close(release)
	q := newSender(t, webhook.Options{Patience: time.Millisecond}).Open(webhook.Target{ID: "a", URL: rc.URL}, nil)
	q.Start(body("start"))
	rc.wait(t, "the hanging start", func(got []string) bool { return len(got) == 1 })
	done, ended := onDelivered()
	q.Finish(body("end"), done)
	<-ended
}

func TestAnEndlessAnswerIsCutOff(t *testing.T) {
	rc := newReceiver(t, func(n int, w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	})
	done, ended := onDelivered()
	newSender(t, webhook.Options{}).Redeliver(webhook.Target{ID: "a", URL: rc.URL}, body("end"), done)
	<-ended
	if got := len(rc.got()); got != 1 {
		t.Errorf("%d attempts", got)
	}
}

func TestRedirects(t *testing.T) {
	for status, want := range map[int]string{301: "end", 302: "end", 303: "end", 307: "end end", 308: "end end"} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			rc := newReceiver(t, nil)
			rc.answer = func(n int, w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/" {
					http.Redirect(w, r, "/moved", status)
				}
			}
			done, ended := onDelivered()
			newSender(t, webhook.Options{}).Redeliver(webhook.Target{ID: "a", URL: rc.URL + "/"}, body("end"), done)
			<-ended
			if got := strings.Join(rc.got(), " "); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestARedirectToAnotherSchemeIsFinal(t *testing.T) {
	rc := newReceiver(t, func(n int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "file:///etc/passwd")
		w.WriteHeader(307)
	})
	done, ended := onDelivered()
	newSender(t, webhook.Options{Attempts: 2}).Redeliver(webhook.Target{ID: "a", URL: rc.URL}, body("end"), done)
	<-ended
}

func TestHeadersAndSignature(t *testing.T) {
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	rc := newReceiver(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 1 {
			w.WriteHeader(500)
		}
	})
	done, ended := onDelivered()
	s := newSender(t, webhook.Options{Secret: secret, AuthToken: "t0ken", AuthHosts: hosts(t, "*"), UserAgent: "coggo/test"})
	s.Redeliver(webhook.Target{ID: "é\n", URL: rc.URL, Header: http.Header{"Traceparent": {"00-a-b-01"}}}, body(`{"id":"a"}`), done)
	<-ended
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	for i, h := range rc.heads {
		if err := verifier.Verify([]byte(rc.bodies[i]), h); err != nil {
			t.Errorf("attempt %d: %v", i+1, err)
		}
		for name, want := range map[string]string{"Authorization": "Bearer t0ken", "User-Agent": "coggo/test", "Content-Type": "application/json", "Traceparent": "00-a-b-01"} {
			if got := h.Get(name); got != want {
				t.Errorf("%s = %q, want %q", name, got, want)
			}
		}
	}
	if a, b := rc.heads[0].Get("Webhook-Id"), rc.heads[1].Get("Webhook-Id"); a == "" || a != b {
		t.Errorf("ids of two attempts: %q, %q", a, b)
	}
}

func hosts(t *testing.T, texts ...string) (all []webhook.Host) {
	t.Helper()
	for _, text := range texts {
		host, err := webhook.ParseHost(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, host)
	}
	return all
}

func TestOnlyHostsThatAreNamedGetTheToken(t *testing.T) {
	for _, row := range []struct {
		named, receiver string
		want            bool
	}{
		{"*", "http://a.test/", true},
		{"a.test", "http://a.test/x", true},
		{"a.test", "https://a.test:8443/x", true},
		{"A.Test.", "http://a.TEST./x", true},
		{"a.test", "http://b.a.test/", false},
		{"a.test", "http://a.test.evil/", false},
		{"a.test", "http://evila.test/", false},
		{"a.test", "http://a.test@evil/", false},
		{"a.test:80", "http://a.test/", true},
		{"a.test:443", "https://a.test/", true},
		{"a.test:443", "http://a.test/", false},
		{"a.test:80", "http://a.test:8080/", false},
		{"*.a.test", "http://b.a.test/", true},
		{"*.a.test", "http://c.b.A.test./", true},
		{"*.a.test", "http://a.test/", false},
		{"*.a.test", "http://evila.test/", false},
		{"*.a.test:8443", "https://b.a.test:8443/", true},
		{"*.a.test:8443", "https://b.a.test/", false},
		{"127.0.0.1", "http://127.0.0.1:1/", true},
		{"127.0.0.1", "http://127.0.0.2:1/", false},
		{"*.0.0.1", "http://127.0.0.1:1/", false},
		{"[::1]:80", "http://[::1]/", true},
		{"[::1]", "http://[::1]:81/", true},
		{"::1", "http://[::1]:81/", true},
		{"[::1]:80", "http://[::1]:81/", false},
		{"Bücher.example", "http://xn--bcher-kva.example/", true},
		{"*.bücher.example", "http://a.Bücher.example/", true},
		{"xn--bcher-kva.example", "http://bücher.example/", true},
		{"mine.test", "http://mİne.test/", false},
		{"a.test", "http://a。test/", true},
	} {
		host, err := webhook.ParseHost(row.named)
		receiver, failed := weburl.Parse(row.receiver)
		if err != nil || failed != nil {
			t.Errorf("%s: %v, %v", row.named, err, failed)
		} else if got := host.Matches(receiver); got != row.want {
			t.Errorf("%s: %s: %v", row.named, row.receiver, got)
		}
	}
}

func TestABadHostIsAnError(t *testing.T) {
	for _, text := range []string{"", "*.", "**", "a.*.test", "https://a.test", "a.test/", "a.test:", "a.test:0", "a.test:http", "a.test:65536", "me@a.test", "1:2:3:x", "*.::1", "a b", "a,b", "\xff.test", "."} {
		if host, err := webhook.ParseHost(text); err == nil {
			t.Errorf("%q became %v", text, host)
		}
	}
}

func TestARedirectDoesNotSendTheTokenToAnotherHost(t *testing.T) {
	var to string
	other := newReceiver(t, nil)
	first := newReceiver(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hook" {
			http.Redirect(w, r, to, http.StatusTemporaryRedirect)
		}
	})
	for target, want := range map[string]string{first.URL + "/moved": "Bearer t0ken", other.URL: ""} {
		to = target
		done, ended := onDelivered()
		s := newSender(t, webhook.Options{AuthToken: "t0ken", AuthHosts: hosts(t, "*")})
		s.Redeliver(webhook.Target{ID: "a", URL: first.URL + "/hook"}, body("end"), done)
		<-ended
		got := first.heads[len(first.heads)-1]
		if want == "" {
			got = other.heads[0]
		}
		if got.Get("Authorization") != want {
			t.Errorf("%s: Authorization: %q", target, got.Get("Authorization"))
		}
	}
}

func TestABadSecretIsAnError(t *testing.T) {
	for _, secret := range []string{"abc", "whsec_", "whsec_!!"} {
		if _, err := webhook.NewSender(webhook.Options{Client: http.DefaultClient, Secret: secret}); err == nil {
			t.Errorf("%q was accepted", secret)
		}
	}
}

func TestADrainThatTimesOutReportsTheUndeliveredEnd(t *testing.T) {
	rc := newReceiver(t, func(n int, w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) })
	s := newSender(t, webhook.Options{RetryWait: time.Hour})
	s.Redeliver(webhook.Target{ID: "a", URL: rc.URL}, body("end"), func() { t.Error("called although nothing was acknowledged") })
	rc.wait(t, "the first attempt", func(got []string) bool { return len(got) == 1 })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	want := []webhook.Undelivered{{ID: "a", Host: strings.TrimPrefix(rc.URL, "http://"), Attempts: 1}}
	if left := s.Drain(ctx); !slices.Equal(left, want) {
		t.Errorf("left %v, not %v", left, want)
	}
}

func TestADrainWithoutTimeReportsNothingIfEverythingIsDelivered(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if left := newSender(t, webhook.Options{}).Drain(ctx); left != nil {
		t.Errorf("left %v", left)
	}
}

func TestADrainWithoutTimeDoesNotWaitForPredictionsThatHaveNotFinished(t *testing.T) {
	s := newSender(t, webhook.Options{})
	q := s.Open(webhook.Target{ID: "a"}, func() webhook.Body { return nil })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	drained := make(chan []webhook.Undelivered)
	go func() { drained <- s.Drain(ctx) }()
	select {
	case left := <-drained:
		if left != nil {
			t.Errorf("left %v", left)
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits")
		q.Finish(body("end"), nil)
	}
}

func TestAStoppedSenderMakesNoAttempt(t *testing.T) {
	s := newSender(t, webhook.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.Drain(ctx)
	s.Redeliver(webhook.Target{ID: "a", URL: "http://receiver.example/hook"}, body("end"), nil)
	want := []webhook.Undelivered{{ID: "a", Host: "receiver.example"}}
	if left := s.Drain(ctx); !slices.Equal(left, want) {
		t.Errorf("left %v, not %v", left, want)
	}
}

func TestNoUpdateIsSentBeforeTheStart(t *testing.T) {
	rc := newReceiver(t, nil)
	q := newSender(t, webhook.Options{}).Open(webhook.Target{ID: "a", URL: rc.URL}, func() webhook.Body { return webhook.Bytes("partial") })
	q.Changed(prediction.WebhookLogs)
	q.Start(body("start"))
	rc.wait(t, "both", func(got []string) bool { return len(got) == 2 })
	done, ended := onDelivered()
	q.Finish(body("end"), done)
	<-ended
	if got := strings.Join(rc.got(), " "); got != "start partial end" {
		t.Errorf("got %q", got)
	}
}

func TestWithoutAThrottleEachUpdateIsSentUntilTheReceiverIsFarBehind(t *testing.T) {
	release := make(chan struct{})
	rc := newReceiver(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 1 {
			<-release
		}
	})
	state := 0 // used by this goroutine alone: updates are rendered when they are reported, up to a limit
	q := newSender(t, webhook.Options{Patience: time.Minute}).Open(webhook.Target{ID: "a", URL: rc.URL}, func() webhook.Body { return webhook.Bytes(fmt.Appendf(nil, "%d", state)) })
	q.Start(body("start"))
	for state = 1; state <= 40; state++ {
		q.Changed(prediction.WebhookOutput)
	}
	state = 40
	close(release)
	done, ended := onDelivered()
	q.Finish(body("end"), done)
	<-ended
	got := rc.got()
	if len(got) != 42 || got[1] != "1" || got[40] != "40" || got[41] != "end" {
		t.Errorf("got %q", got)
	}
}

func TestUpdatesAreSentInTheOrderOfTheirContents(t *testing.T) {
	rc := newReceiver(t, nil)
	var state atomic.Int64
	q := newSender(t, webhook.Options{Patience: time.Minute}).Open(webhook.Target{ID: "a", URL: rc.URL}, func() webhook.Body {
		n := state.Load()
		time.Sleep(time.Duration(n%7) * 100 * time.Microsecond) // the next may be rendered sooner
		return webhook.Bytes(fmt.Appendf(nil, "%d", n))
	})
	q.Start(body("0"))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 25 {
				state.Add(1)
				q.Changed(prediction.WebhookLogs)
			}
		})
	}
	all.Wait()
	done, ended := onDelivered()
	q.Finish(body("100"), done)
	<-ended
	last := -1
	for _, got := range rc.got() {
		n, err := strconv.Atoi(got)
		if err != nil || n < last {
			t.Fatalf("got %q after %d", got, last)
		}
		last = n
	}
}

func TestAReceiverWithoutTheTerminalEventGetsTheLastOutput(t *testing.T) {
	for _, row := range []struct {
		events []prediction.WebhookEvent
		want   string
	}{
		{[]prediction.WebhookEvent{prediction.WebhookOutput}, "value"},
		{[]prediction.WebhookEvent{prediction.WebhookOutput, prediction.WebhookCompleted}, "end"},
		{[]prediction.WebhookEvent{prediction.WebhookLogs}, ""},
	} {
		rc := newReceiver(t, nil)
		q := newSender(t, webhook.Options{Throttle: time.Hour}).Open(webhook.Target{ID: "a", URL: rc.URL, Events: row.events}, func() webhook.Body { return webhook.Bytes("value") })
		q.Start(nil)
		q.Returned()
		done, ended := onDelivered()
		q.Finish(body("end"), done)
		<-ended
		if got := strings.Join(rc.got(), " "); got != row.want {
			t.Errorf("%v: got %q, want %q", row.events, got, row.want)
		}
	}
}

func TestManyHangingUpdatesDelayTheEndOnlyOnce(t *testing.T) {
	release := make(chan struct{})
	rc := newReceiver(t, func(n int, w http.ResponseWriter, r *http.Request) {
		<-release
	})
	q := newSender(t, webhook.Options{Patience: 20 * time.Millisecond}).Open(webhook.Target{ID: "a", URL: rc.URL}, func() webhook.Body { return webhook.Bytes("partial") })
	q.Start(body("start"))
	for range 50 {
		q.Changed(prediction.WebhookOutput)
	}
	done, ended := onDelivered()
	rc.wait(t, "the start", func(got []string) bool { return len(got) == 1 })
	q.Finish(body("end"), done)
	rc.wait(t, "the end", func(got []string) bool { return got[len(got)-1] == "end" })
	if got := len(rc.got()); got > 10 {
		t.Errorf("%d updates were tried before the end", got-1)
	}
	close(release)
	<-ended
}
