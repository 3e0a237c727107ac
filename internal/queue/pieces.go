package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/coggo/coggo/internal/files"
)

// An object that is too large for a message lies in the broker in pieces, one message for each, so
// no process has it in memory as a whole. Another message tells readers how long it is, so they
// never read the pieces that a killed process has left behind. The broker removes each piece when
// its time has come, without any process.

// pieceBytes is the length of a piece, and piecesAtOnce how many of one object may be on their way
// to the broker.
const (
	pieceBytes   = 256 << 10
	piecesAtOnce = 4
)

// object is a body in pieces.
type object struct {
	name  string // one token, unique in its drawer; empty: no object
	size  int64
	piece int64 // length of each piece but the last
}

func (o object) String() string { return fmt.Sprintf("%s %d %d", o.name, o.size, o.piece) }

// parseObject reads what String wrote; an empty text is no object.
func parseObject(text string) (o object, err error) {
	if text == "" {
		return o, nil
	}
	_, err = fmt.Sscanf(text, "%s %d %d", &o.name, &o.size, &o.piece)
	if err == nil && (o.size < 0 || o.piece <= 0 || o.piece > mostPiece) {
		err = fmt.Errorf("an object of %d bytes in pieces of %d", o.size, o.piece)
	}
	return o, err
}

// mostPiece bounds the memory for a piece that another version has written.
const mostPiece = 64 << 20

// drawer is where objects lie: subjects of a stream.
type drawer struct {
	b      *broker
	stream jetstream.Stream
	prefix string // of the subjects; the object and the number of the piece follow
}

func (d drawer) subject(name string, piece int64) string {
	return d.prefix + name + "." + strconv.FormatInt(piece, 10)
}

// writer returns a writer of a new object that the broker keeps for a while. Close it: with an
// error it leaves nothing.
func (d drawer) writer(ctx context.Context, name string, keep time.Duration) *objectWriter {
	most := int64(pieceBytes)
	if limit := d.b.nc.MaxPayload() - headerRoom; limit > 0 {
		most = min(most, limit)
	}
	return &objectWriter{ctx: ctx, in: d, keep: keep, object: object{name: name, piece: most}}
}

// put stores what write writes. With an error there is no object: readers must not take the pieces
// that the broker may still have for all of it.
func (d drawer) put(
	ctx context.Context, name string, keep time.Duration, write func(w *objectWriter) error,
) (object, error) {
	w := d.writer(ctx, name, keep)
	err := write(w)
	if err == nil {
		err = w.finish()
	}
	if err != nil {
		w.abandon()
		return object{}, err
	}
	return w.object, nil
}

// remove removes an object, or what there is of it.
func (d drawer) remove(ctx context.Context, o object) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	remove := d.purge
	if d.b.narrow {
		remove = d.empty
	}
	if err := remove(ctx, o); err != nil && d.b.connected() {
		d.b.log.Warn("remove an object of the queue: it stays until its time has come",
			"object", o.name, "error", err)
	}
}

func (d drawer) purge(ctx context.Context, o object) error {
	return d.stream.Purge(ctx, jetstream.WithPurgeSubject(d.prefix+o.name+".>"))
}

// empty replaces each piece by nothing, which the broker removes a moment later. A process with
// rights for one model only does so, because a user that may purge a stream can purge the messages
// of other models too.
func (d drawer) empty(ctx context.Context, o object) error {
	w := d.writer(ctx, o.name, time.Second)
	for at := int64(0); at < o.size; at += o.piece {
		if err := w.send(); err != nil {
			return err
		}
	}
	return w.awaitStored()
}

// reader reads an object piece by piece. It can seek.
func (d drawer) reader(ctx context.Context, o object) *objectReader {
	return &objectReader{ctx: ctx, in: d, object: o, loaded: -1, patience: patience}
}

// objectWriter sends an object in pieces.
type objectWriter struct {
	object
	ctx     context.Context
	in      drawer
	keep    time.Duration
	buffer  []byte
	count   int64                    // pieces that were sent
	unheard []jetstream.PubAckFuture // of them, those that the broker has not answered for; the oldest first
}

// Write sends each piece once it is full.
func (w *objectWriter) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		step := min(len(p)-n, int(w.piece)-len(w.buffer))
		w.buffer = append(w.buffer, p[n:n+step]...) // it grows with what comes: many may send slowly
		n += step
		if len(w.buffer) == int(w.piece) {
			err = w.send()
		}
	}
	return n, err
}

// finish returns when the broker has stored the whole object.
func (w *objectWriter) finish() error {
	if len(w.buffer) > 0 {
		if err := w.send(); err != nil {
			return err
		}
	}
	return w.awaitStored()
}

// awaitStored returns when the broker has stored all pieces that were sent.
func (w *objectWriter) awaitStored() error {
	for len(w.unheard) > 0 {
		if _, err := w.hear(); err != nil {
			return err
		}
	}
	return nil
}

// abandon removes what was stored, once nothing of it is on its way any more: a piece that came
// after the removal would stay.
func (w *objectWriter) abandon() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), patience)
	defer cancel()
	w.ctx = ctx
	for len(w.unheard) > 0 && ctx.Err() == nil && w.in.b.connected() {
		_, _ = w.hear() // whether it is stored or not
	}
	w.in.remove(context.WithoutCancel(ctx), w.object)
}

// length is that of what was written so far.
func (w *objectWriter) length() int64 { return w.size + int64(len(w.buffer)) }

// send sends the buffer, and takes the buffer of a piece that is stored.
func (w *objectWriter) send() error {
	m := nats.NewMsg(w.in.subject(w.name, w.count))
	m.Data = w.buffer
	if !w.in.b.connected() {
		return errAway
	}
	future, err := w.in.b.js.PublishMsgAsync(m, jetstream.WithMsgTTL(w.keep.Round(time.Second)))
	if err != nil {
		return err
	}
	w.count++
	w.size += int64(len(w.buffer))
	w.unheard = append(w.unheard, future)
	w.buffer = nil
	if len(w.unheard) >= piecesAtOnce {
		w.buffer, err = w.hear()
	}
	return err
}

// hear waits for the answer to the oldest piece, and returns its memory.
func (w *objectWriter) hear() ([]byte, error) {
	future := w.unheard[0]
	w.unheard = w.unheard[1:]
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-future.Ok():
		return future.Msg().Data[:0], nil
	case err := <-future.Err():
		return nil, err
	case <-late.C:
		return nil, fmt.Errorf("the broker has not stored a part of %s within %s", w.name, patience)
	case <-w.ctx.Done():
		return nil, w.ctx.Err()
	}
}

// objectReader holds one piece at a time.
type objectReader struct {
	object
	ctx      context.Context
	in       drawer
	at       int64
	loaded   int64 // number of the piece in data; -1: none
	data     []byte
	patience time.Duration // for each piece, while the broker does not answer
}

// Read returns errObjectGone if the broker has removed the object.
func (r *objectReader) Read(p []byte) (int, error) {
	if r.at >= r.size {
		return 0, io.EOF
	}
	if number := r.at / r.piece; number != r.loaded {
		if err := r.load(number); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.data[r.at%r.piece:])
	r.at += int64(n)
	return n, nil
}

// Seek sets where the next Read begins.
func (r *objectReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning of an object")
	}
	r.at = offset
	return offset, nil
}

// all reads the whole object. A message may claim any length, so its memory grows with the pieces
// that there are.
func (r *objectReader) all() ([]byte, error) {
	var body bytes.Buffer
	body.Grow(int(min(r.size, mostPiece)) + bytes.MinRead)
	_, err := io.CopyN(&body, r, r.size)
	return body.Bytes(), err
}

// Close exists for callers that close files.
func (r *objectReader) Close() error { return nil }

// errObjectGone is the error of reading an object that the broker does not have any more.
var errObjectGone = errors.New("the queue's broker no longer has it")

// load gets a piece. While the broker is away it tries again.
func (r *objectReader) load(number int64) error {
	ctx, cancel := context.WithTimeout(r.ctx, r.patience)
	defer cancel()
	for {
		m, err := r.get(ctx, number)
		switch {
		case err == nil:
			if want := min(r.piece, r.size-number*r.piece); int64(len(m.Data)) != want {
				return fmt.Errorf("piece %d of %s has %d bytes, not %d", number, r.name, len(m.Data), want)
			}
			r.data, r.loaded = m.Data, number
			return nil
		case errors.Is(err, jetstream.ErrMsgNotFound):
			return errObjectGone
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		}
	}
}

// get asks the broker once for a piece: what it was asked before it died it never answers.
func (r *objectReader) get(ctx context.Context, number int64) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	return r.in.stream.GetLastMsgForSubject(ctx, r.in.subject(r.name, number))
}

// download copies sections of an object to a file without a name, to the places that they have in
// the object.
func (d drawer) download(ctx context.Context, o object, sections ...span) (*os.File, error) {
	file, err := files.Nameless("coggo-queue-", func(io.Writer) (int64, error) { return 0, nil })
	if err != nil {
		return nil, err
	}
	r := d.reader(ctx, o)
	for _, s := range sections {
		if _, err = r.Seek(s.at(), io.SeekStart); err == nil {
			_, err = io.Copy(io.NewOffsetWriter(file, s.at()), io.LimitReader(r, s.size()))
		}
		if err != nil {
			return nil, errors.Join(err, file.Close())
		}
	}
	return file, nil
}
