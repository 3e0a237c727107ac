package supervisor

import (
	"github.com/coggo/coggo/internal/files"
	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/spool"
	"github.com/coggo/coggo/internal/webhook"
)

// owingBytes bounds the memory of finished predictions that only wait for the receivers of their
// terminal webhooks.
const owingBytes = 32 << 20

// owe returns the body of the terminal webhook, and a function to call once it is delivered or
// given up. Because a receiver may hang or be down, its predictions must not stay in memory: the
// body is read from the outbox if there is one, and otherwise from a file once too much is waiting.
func (s *Supervisor) owe(f *flight) (webhook.Body, func()) {
	run := f.run
	if f.owed != nil {
		return f.owed, func() { s.markDelivered(run) }
	}
	size := int64(f.prediction.Size())
	final := f.prediction.Final()
	if s.owing.Add(size) > owingBytes {
		body, err := onDisk(final)
		if err == nil {
			s.owing.Add(-size)
			return body, func() { s.markDelivered(run) }
		}
		s.config.Log.Warn("a webhook waits in memory", "id", f.ID(), "error", err)
	}
	return final, func() {
		s.owing.Add(-size)
		s.markDelivered(run)
	}
}

// onDisk writes final to a file without a name.
func onDisk(final prediction.Snapshot) (webhook.Body, error) {
	file, err := files.Nameless("coggo-webhook-", final.WriteTo)
	if err != nil {
		return nil, err
	}
	return spool.TextIn(file)
}
