package queue

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/coggo/coggo/internal/files"
	"github.com/coggo/coggo/internal/prediction"
)

// Uploads are the files of /v1/files that all servers of a queue share. A file can be seen once its
// description is stored, which comes after its contents: nobody sees a half one.
type Uploads struct {
	Queue    *Queue
	MaxBytes int64         // of one file; 0: no limit
	MaxTotal int64         // of all files together, in the broker; 0: no limit
	Keep     time.Duration // the broker removes a file after it
}

// aboutKey is the last token of the subject of a file's description.
const aboutKey = "about"

// uploadSlack is how much longer the contents are kept than the description: an upload may take a
// while.
const uploadSlack = time.Hour

func (u *Uploads) drawer() drawer {
	return drawer{u.Queue.broker, u.Queue.broker.uploads, uploadPrefix}
}

// mayChange returns a *prediction.Error if files can't be stored, listed or removed here.
func (u *Uploads) mayChange() error {
	if u.Queue.broker.narrow {
		return errOnlyGateways("send, list and remove files at a gateway")
	}
	return u.Queue.usable()
}

// Put stores body. It returns a files.TooLargeError, files.FullError, files.ErrNoRoom or a
// *prediction.Error for what the client is told. After an error nothing is left.
func (u *Uploads) Put(name, contentType string, body io.Reader) (files.Stored, error) {
	about := files.NewStored(prediction.NewID(), name, contentType, u.Queue.config.Now(), u.Keep)
	if err := u.mayChange(); err != nil {
		return about, err
	}
	sum := sha256.New()
	in := incoming{u: u, body: bufio.NewReader(body), sum: sum}
	o, err := u.drawer().put(u.Queue.ctx, about.ID, u.Keep+uploadSlack, in.copyTo)
	if err == nil {
		about.Size, about.SHA256 = o.size, hex.EncodeToString(sum.Sum(nil))
		if err = u.describe(about, o); err != nil {
			u.drawer().remove(context.WithoutCancel(u.Queue.ctx), o)
		}
	}
	switch {
	case err == nil:
		return about, nil
	case in.refused != nil:
		return about, fmt.Errorf("store an upload: %w", in.refused)
	case full(err):
		return about, files.ErrNoRoom
	default:
		return about, u.Queue.unreachable(err)
	}
}

// incoming is a file on its way from its client to the broker.
type incoming struct {
	u       *Uploads
	body    *bufio.Reader
	sum     hash.Hash
	refused error // for a limit, or since the client has gone
}

// roomPiece is how much of a file is stored before the broker is asked for its room again.
const roomPiece = 1 << 20

// copyTo stores the file within the limits.
func (in *incoming) copyTo(w *objectWriter) error {
	for {
		if _, err := in.body.Peek(1); errors.Is(err, io.EOF) {
			return nil
		}
		room, err := in.room(w)
		if err != nil {
			return err
		}
		source := source{Reader: io.LimitReader(in.body, room)}
		_, err = io.Copy(io.MultiWriter(w, in.sum), &source)
		if source.failed != nil {
			in.refused = source.failed
		}
		if err != nil {
			return err
		}
	}
}

// source keeps an error of its Reader: the others are of the broker.
type source struct {
	io.Reader
	failed error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.failed = err
	}
	return n, err
}

// room returns how many bytes may be stored before it is asked again. The broker counts the half
// files of other processes too.
func (in *incoming) room(w *objectWriter) (int64, error) {
	room := int64(roomPiece)
	if most := in.u.MaxBytes; most > 0 {
		if room = min(room, most-w.length()); room <= 0 {
			in.refused = files.TooLargeError(most)
			return 0, in.refused
		}
	}
	if in.u.MaxTotal == 0 {
		return room, nil
	}
	if err := w.awaitStored(); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(in.u.Queue.ctx, patience)
	defer cancel()
	info, err := in.u.Queue.broker.uploads.Info(ctx)
	if err != nil {
		return 0, lacks("stream "+uploadStream, err)
	}
	if room = min(room, in.u.MaxTotal-int64(info.State.Bytes)-int64(len(w.buffer))); room <= 0 {
		in.refused = files.FullError(in.u.MaxTotal)
	}
	return room, in.refused
}

// describe stores the description of a file.
func (u *Uploads) describe(about files.Stored, o object) error {
	data, err := json.Marshal(about)
	if err != nil {
		return err
	}
	m := nats.NewMsg(uploadPrefix + about.ID + "." + aboutKey)
	m.Data = data
	m.Header.Set(headerFormat, format)
	m.Header.Set(headerObject, o.String())
	keep := max(time.Second, about.ExpiresAt.Sub(u.Queue.config.Now()).Round(time.Second))
	ctx, cancel := context.WithTimeout(u.Queue.ctx, patience)
	defer cancel()
	_, err = u.Queue.broker.publish(ctx, m, jetstream.WithMsgTTL(keep))
	return lacks("stream "+uploadStream, err)
}

// Describe adds the client's metadata to the description of a file.
func (u *Uploads) Describe(about files.Stored, metadata json.RawMessage) (files.Stored, error) {
	known, o, err := u.get(about.ID)
	if err != nil {
		return about, err
	}
	known.Metadata = metadata
	if err := u.describe(known, o); err != nil {
		return known, u.Queue.unreachable(err)
	}
	return known, nil
}

// Get returns the description of the file with an id, or files.ErrNotStored.
func (u *Uploads) Get(id string) (files.Stored, error) {
	about, _, err := u.get(id)
	return about, err
}

func (u *Uploads) get(id string) (about files.Stored, o object, err error) {
	if !files.StoredID(id) {
		return about, o, files.ErrNotStored
	}
	if err := u.Queue.usable(); err != nil {
		return about, o, err
	}
	ctx, cancel := context.WithTimeout(u.Queue.ctx, patience)
	defer cancel()
	m, err := u.Queue.broker.uploads.GetLastMsgForSubject(ctx, uploadPrefix+id+"."+aboutKey)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return about, o, files.ErrNotStored
	}
	if err != nil {
		return about, o, u.Queue.unreachable(lacks("stream "+uploadStream, err))
	}
	about, o, err = storedIn(m)
	if err == nil && u.Queue.config.Now().After(about.ExpiresAt) {
		err = files.ErrNotStored
	}
	return about, o, err
}

// storedIn reads the description of a file.
func storedIn(m *jetstream.RawStreamMsg) (about files.Stored, o object, err error) {
	if m.Header.Get(headerFormat) != format {
		return about, o, unreadable{errFormat}
	}
	if o, err = parseObject(m.Header.Get(headerObject)); err == nil {
		err = json.Unmarshal(m.Data, &about)
	}
	return about, o, err
}

// Open opens the contents of the file with an id.
func (u *Uploads) Open(id string) (io.ReadSeekCloser, error) {
	_, o, err := u.get(id)
	if err != nil {
		return nil, err
	}
	return u.drawer().reader(u.Queue.ctx, o), nil
}

// List returns the descriptions of all files, the newest first.
func (u *Uploads) List() ([]files.Stored, error) {
	if err := u.mayChange(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(u.Queue.ctx, patience)
	defer cancel()
	info, err := u.Queue.broker.uploads.Info(ctx, jetstream.WithSubjectFilter(uploadPrefix+"*."+aboutKey))
	if err != nil {
		return nil, u.Queue.unreachable(lacks("stream "+uploadStream, err))
	}
	var all []files.Stored
	for subject := range info.State.Subjects {
		about, err := u.Get(strings.Split(subject, ".")[2])
		switch {
		case err == nil:
			all = append(all, about)
		case errors.Is(err, files.ErrNotStored), errors.Is(err, errFormat):
		default:
			return nil, err
		}
	}
	files.NewestFirst(all)
	return all, nil
}

// Delete removes the file with an id. It returns files.ErrNotStored if there isn't one.
func (u *Uploads) Delete(id string) error {
	if err := u.mayChange(); err != nil {
		return err
	}
	if _, err := u.Get(id); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(u.Queue.ctx, patience)
	defer cancel()
	if err := u.Queue.broker.uploads.Purge(ctx, jetstream.WithPurgeSubject(uploadPrefix+id+".>")); err != nil {
		return u.Queue.unreachable(lacks("stream "+uploadStream, err))
	}
	return nil
}

// findFor is how long a worker waits for an uploaded file, and for each piece of it, while the
// broker is away.
const findFor = time.Minute

// Find opens the file that the URL of an input means.
func (u *Uploads) Find(target *url.URL) (files.Stored, io.ReadCloser, error) {
	id, ok := files.StoredIn(target)
	if !ok {
		return files.Stored{}, nil, files.ErrNotStored
	}
	ctx, cancel := context.WithTimeout(u.Queue.ctx, findFor)
	defer cancel()
	for {
		about, o, err := u.get(id)
		if err == nil {
			r := u.drawer().reader(u.Queue.ctx, o)
			r.patience = findFor
			return about, r, nil
		}
		if !refused(err) {
			return about, nil, err
		}
		select {
		case <-time.After(attempt):
		case <-ctx.Done():
			return about, nil, err
		}
	}
}
