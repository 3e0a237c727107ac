package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/spool"
)

// largeBody is from where on a body lies in the object store: a broker carries small messages best,
// and by default none over 1 MiB.
const largeBody = 512 << 10

// headerRoom is what the headers of a message may take of the broker's limit.
const headerRoom = 16 << 10

// fits reports whether a body of n bytes fits into a message.
func (b *broker) fits(n int) bool {
	most := largeBody
	if limit := int(b.nc.MaxPayload()) - headerRoom; limit > 0 {
		most = min(most, limit)
	}
	return n <= most
}

// store returns the payload for a body, which lies in the object store under name if it is large.
func (b *broker) store(ctx context.Context, name string, body []byte) (payload, error) {
	if b.fits(len(body)) {
		return payload{body: body}, nil
	}
	_, err := b.inputs.Put(ctx, jetstream.ObjectMeta{Name: name}, bytes.NewReader(body))
	return payload{object: name}, err
}

// storeEnd returns the payload for a terminal snapshot. A large one is written to the object store
// as it is rendered, so it is in memory no more than it was; what lists show of it is in the message.
func (b *broker) storeEnd(ctx context.Context, name string, final prediction.Snapshot) (payload, error) {
	if !final.OnDisk() && b.fits(final.Len()) {
		return payload{body: final.AppendJSON(nil)}, nil
	}
	p := payload{body: final.Short().AppendJSON(nil), object: name, outputAt: final.OutputAt(), outputLn: final.OutputLen()}
	r, w := io.Pipe()
	go func() {
		_, err := final.WriteTo(w)
		_ = w.CloseWithError(err)
	}()
	_, err := b.ends.Put(ctx, jetstream.ObjectMeta{Name: name}, r)
	_ = r.Close() // ends the writer if the store has not read it all
	return p, err
}

// load returns the body of a request, wherever it is.
func (b *broker) load(ctx context.Context, p payload) ([]byte, error) {
	if p.object == "" {
		return p.body, nil
	}
	return b.inputs.GetBytes(ctx, p.object)
}

// storing is how long storeEnd may take before it is tried again. A node of a cluster that dies
// meanwhile answers nothing.
func storing(final prediction.Snapshot) time.Duration {
	return patience + time.Duration(final.Len()>>20)*time.Second
}

// loadEnd returns a terminal snapshot. The output of one from the object store is in a file without
// a name, and stays there.
func (b *broker) loadEnd(ctx context.Context, p payload) (s prediction.Stored, output prediction.Value, err error) {
	if p.object == "" {
		s, err = prediction.ReadSnapshot(p.body)
		return s, prediction.Value{Raw: s.Output}, err
	}
	file, err := b.download(ctx, p.object)
	if err != nil {
		return s, output, err
	}
	if p.outputLn == 0 { // it has no output: its input is large
		return withoutOutput(file)
	}
	info, err := file.Stat()
	if err == nil && (p.outputLn < 0 || p.outputAt < 0 || int64(p.outputAt+p.outputLn) > info.Size()) {
		err = fmt.Errorf("the end in %s has no output at %d", p.object, p.outputAt)
	}
	if err != nil {
		return s, output, errors.Join(err, file.Close())
	}
	around := make([]byte, 0, int(info.Size())-p.outputLn+len("null"))
	around, err = appendSection(around, file, 0, int64(p.outputAt))
	if err == nil {
		around = append(around, "null"...)
		end := int64(p.outputAt + p.outputLn)
		around, err = appendSection(around, file, end, info.Size()-end)
	}
	if err == nil {
		s, err = prediction.ReadSnapshot(around)
	}
	if err != nil {
		return s, output, errors.Join(err, file.Close())
	}
	text := spool.SectionOf(file, int64(p.outputAt), int64(p.outputLn))
	return s, prediction.Value{Raw: []byte{}, Inserts: []prediction.Insert{{Text: text}}}, nil
}

// withoutOutput reads a terminal snapshot that is in memory as a whole, and closes its file.
func withoutOutput(file *os.File) (s prediction.Stored, output prediction.Value, err error) {
	var data []byte
	_, err = file.Seek(0, io.SeekStart)
	if err == nil {
		data, err = io.ReadAll(file)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return s, output, err
	}
	s, err = prediction.ReadSnapshot(data)
	return s, prediction.Value{Raw: s.Output}, err
}

func appendSection(dst []byte, file *os.File, at, n int64) ([]byte, error) {
	from := len(dst)
	dst = dst[:from+int(n)]
	_, err := file.ReadAt(dst[from:], at)
	return dst, err
}

// download copies a large end to a file without a name.
func (b *broker) download(ctx context.Context, name string) (*os.File, error) {
	object, err := b.ends.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	defer object.Close()
	file, err := os.CreateTemp("", "coggo-queue-")
	if err != nil {
		return nil, err
	}
	err = os.Remove(file.Name())
	if err == nil {
		_, err = io.Copy(file, object)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// discard removes a request that nobody needs any more. A worker with rights for its model only may
// not: who may purge a store can purge what is of others.
func (b *broker) discard(ctx context.Context, p payload) {
	if p.object == "" || b.narrow {
		return
	}
	if err := b.inputs.Delete(ctx, p.object); err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
		b.log.Warn("remove an object of the queue", "object", p.object, "error", err)
	}
}
