package httpapi

import (
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/coggo/coggo/internal/telemetry"
)

// refusalsPeriod is the period over which refusals for one reason are counted. The first one is
// logged at once, and one line at the end of the period counts the others.
const refusalsPeriod = time.Minute

// Refusals writes refusals into the log. There are few reasons: the codes of prediction.Error, and
// statuses in words.
type Refusals struct {
	log *slog.Logger

	mu       sync.Mutex // guards byReason
	byReason map[string]*telemetry.Tally
}

// NewRefusals returns the Refusals of a server. The caller must close it.
func NewRefusals(log *slog.Logger) *Refusals {
	return &Refusals{log: log, byReason: map[string]*telemetry.Tally{}}
}

// add logs one refusal; f may be nil. It writes only the method and path of the request, because
// the query and the headers may hold a token, and the body belongs to the client.
func (f *Refusals) add(r *http.Request, reason string, status int) {
	if f != nil && f.of(reason, status).Tell() {
		f.log.Warn("refused", "reason", reason, "status", status,
			"method", shownMethod(r), "path", shownPath(r), "client", client(r))
	}
}

func (f *Refusals) of(reason string, status int) *telemetry.Tally {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.byReason[reason]
	if t == nil {
		more := func(count int, over time.Duration) {
			f.log.Warn("refused more",
				"reason", reason, "status", status, "count", count, "period", over)
		}
		t = &telemetry.Tally{Most: 1, Period: refusalsPeriod, More: more}
		f.byReason[reason] = t
	}
	return t
}

// Close logs the counts that are not logged yet.
func (f *Refusals) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.byReason {
		t.Close()
	}
}
