package httpapi

import (
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/coggo/coggo/internal/telemetry"
)

// refusalsPeriod is how often there is a line about refusals for one reason: one at once for the
// first of them, and one at its end that counts the others.
const refusalsPeriod = time.Minute

// Refusals writes what the server refuses into its log. Reasons are few: they are the codes of
// prediction.Error and statuses in words.
type Refusals struct {
	log *slog.Logger

	mu       sync.Mutex // guards byReason
	byReason map[string]*telemetry.Tally
}

// NewRefusals returns the count of a server. The caller must close it.
func NewRefusals(log *slog.Logger) *Refusals {
	return &Refusals{log: log, byReason: map[string]*telemetry.Tally{}}
}

// add tells of one refusal; f may be nil. Nothing of the request but its method and path is
// written: the query and the headers may hold a token, the body is the client's.
func (f *Refusals) add(r *http.Request, reason string, status int) {
	if f != nil && f.of(reason, status).Tell() {
		f.log.Warn("refused", "reason", reason, "status", status, "method", shownMethod(r), "path", shownPath(r), "client", client(r))
	}
}

func (f *Refusals) of(reason string, status int) *telemetry.Tally {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.byReason[reason]
	if t == nil {
		t = &telemetry.Tally{Most: 1, Period: refusalsPeriod, More: func(count int, over time.Duration) {
			f.log.Warn("refused more", "reason", reason, "status", status, "count", count, "period", over)
		}}
		f.byReason[reason] = t
	}
	return t
}

// Close counts what has not been told.
func (f *Refusals) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.byReason {
		t.Close()
	}
}
