package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/coggo/coggo/internal/files"
	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/spool"
)

// largeBody is from where on a body lies in pieces: a broker carries small messages best, and by
// default none over 1 MiB.
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

// objects is the drawer of the large requests and ends of a model.
func (b *broker) objects(model string) drawer {
	return drawer{b, b.large, objectPrefix + model + "."}
}

// requestsFor is how long a large request is kept at most. It is removed with its prediction; this
// is for those that were left behind.
const requestsFor = 7 * 24 * time.Hour

// storeRequest returns the payload for a request.
func (b *broker) storeRequest(ctx context.Context, at place, entry prediction.Entry) (p payload, err error) {
	encoded := entry.Encode()
	if b.fits(encoded.Len()) {
		return payload{body: encoded.Bytes()}, nil
	}
	p.object, err = b.objects(at.model).put(ctx, "in-"+entry.Run, requestsFor, func(w *objectWriter) error {
		_, err := encoded.WriteTo(w)
		return err
	})
	return p, err
}

// load returns the body of a request, wherever it is.
func (b *broker) load(ctx context.Context, at place, p payload) ([]byte, error) {
	if !p.inPieces() {
		return p.body, nil
	}
	return b.objects(at.model).reader(ctx, p.object).all()
}

// discard removes what a payload has in pieces.
func (b *broker) discard(ctx context.Context, at place, p payload) {
	for _, o := range []object{p.object, p.recordIn} {
		if o.name != "" {
			b.objects(at.model).remove(ctx, o)
		}
	}
}

// fileIn is a file in the object of an end. It is there as it is, and becomes a data URL when the
// end is shown.
type fileIn struct {
	At   int64  `json:"at"` // in the object
	Size int64  `json:"size"`
	Type string `json:"type"` // its media type
}

// endsFor is how long the object of an end is kept. The end itself may be stored a while later, and
// its webhook delivered later still.
func (b *broker) endsFor() time.Duration { return max(2*b.retain, time.Hour) }

// storePast returns the payload for what a run has done until now, in a turn. A large snapshot is
// written to the broker as it is rendered, with its files as they are. The message has the part of
// it that lists show.
func (b *broker) storePast(
	ctx context.Context, at place, name string, until prediction.Past, turn int,
) (p payload, err error) {
	if !until.OnDisk() && b.fits(until.Len()) {
		p.body = until.AppendJSON(nil)
	} else {
		p.body = until.Short().AppendJSON(nil)
		p.object, err = b.putLarge(ctx, at, name, func(w *objectWriter) (err error) {
			p.parts, err = writeEnd(w, until.Snapshot)
			return err
		})
	}
	record := recordOf(until, turn, mostRecord)
	if err != nil || b.fits(len(p.body)+len(record)) {
		p.record = record
		return p, err
	}
	p.recordIn, err = b.putLarge(ctx, at, name+"-events", func(w *objectWriter) error {
		_, err := w.Write(record)
		return err
	})
	return p, err
}

// putLarge stores an object for as long as ends are kept.
func (b *broker) putLarge(
	ctx context.Context, at place, name string, write func(w *objectWriter) error,
) (object, error) {
	return b.objects(at.model).put(ctx, name, b.endsFor(), write)
}

// writeEnd writes the object of an end.
func writeEnd(w io.Writer, final prediction.Snapshot) (parts, error) {
	plain, decoded := final.Decoded()
	n, err := plain.WriteTo(w)
	p := partsOf(plain, n)
	if err == nil {
		p.Files, err = writeTable(w, n, decoded)
	}
	return p, err
}

// writeChunk writes the object of an item, and returns where in it the table of its files is.
func writeChunk(w io.Writer, chunk prediction.Value) (span, error) {
	plain, decoded := chunk.Decoded()
	n, err := plain.WriteTo(w)
	if err != nil {
		return span{}, err
	}
	return writeTable(w, n, decoded)
}

// writeTable writes the table of files at an offset, if there are any.
func writeTable(w io.Writer, at int64, decoded []prediction.Part) (span, error) {
	if len(decoded) == 0 {
		return span{}, nil
	}
	n, err := w.Write(tableOf(decoded))
	return span{at, int64(n)}, err
}

// partsOf returns where in a rendered snapshot is what.
func partsOf(s prediction.Snapshot, n int64) parts {
	inputAt, inputLen := s.InputAt()
	outputLen := s.OutputLen()
	if outputLen == 0 {
		outputLen = len("null")
	}
	return parts{
		Text:   span{0, n},
		Input:  span{int64(inputAt), int64(inputLen)},
		Output: span{int64(s.OutputAt()), int64(outputLen)},
	}
}

func tableOf(decoded []prediction.Part) []byte {
	table := make([]fileIn, len(decoded))
	for i, part := range decoded {
		table[i] = fileIn{At: part.At, Size: part.Text.Size(), Type: part.Text.MediaType()}
	}
	text, err := json.Marshal(table)
	if err != nil {
		panic(err) // it has only strings and numbers
	}
	return text
}

// loadPast returns what a run has done, with its events. If a snapshot lies in pieces, the large
// parts of its output go to a file without a name and stay there, and its input is left out unless
// it is wanted.
func (b *broker) loadPast(ctx context.Context, at place, p payload, input bool) (past, error) {
	if p.recordIn.name != "" {
		var err error
		if p.record, err = b.objects(at.model).reader(ctx, p.recordIn).all(); err != nil {
			return past{}, err
		}
	}
	return b.loadEnd(ctx, at, p, input)
}

// loadEnd is loadPast for who needs no events.
func (b *broker) loadEnd(ctx context.Context, at place, p payload, input bool) (past, error) {
	if !p.inPieces() {
		return inMemory(p.body, p.record)
	}
	end, err := b.openEnd(ctx, at, p, input)
	if err != nil {
		return past{}, err
	}
	return end.past(p.record, input)
}

// past is what the end says, with the record of its events.
func (e largeEnd) past(record []byte, input bool) (s past, err error) {
	s = past{record: record, size: int(e.Output.size())}
	s.cut = func(at, n int) (prediction.Value, error) {
		return e.value(span{e.Output.at() + int64(at), int64(n)}, -1)
	}
	if s.Stored, err = e.snapshot(input); err == nil {
		s.output, err = e.value(e.Output, largeBody)
	}
	return s, err
}

// inMemory reads a snapshot.
func inMemory(body, record []byte) (s past, err error) {
	s.record = record
	s.Stored, err = prediction.ReadSnapshot(body)
	s.output.Raw, s.size = s.Output, len(s.Output)
	s.cut = func(at, n int) (prediction.Value, error) {
		return prediction.Value{Raw: s.output.Raw[at : at+n : at+n]}, nil
	}
	return s, err
}

// chunkIn returns an item whose object was copied to a file.
func chunkIn(file *os.File, size int64, table span) (prediction.Value, error) {
	text := span{0, size}
	if table != (span{}) {
		text = span{0, table.at()}
	}
	if whole := (span{0, size}); !text.within(whole) || !table.within(whole) {
		return prediction.Value{}, fmt.Errorf("the files of an item of %d bytes are at %v", size, table)
	}
	e := largeEnd{parts: parts{Output: text, Files: table}, file: file}
	if err := e.readTable(); err != nil {
		return prediction.Value{}, err
	}
	return e.value(text, largeBody)
}

// largeEnd is an end in pieces that was copied to a file. The garbage collector closes the file.
type largeEnd struct {
	parts
	file  *os.File
	files []fileIn // in the order of their places
}

// fit reports whether the parts are where writeEnd puts them: all else is not to be read.
func (p parts) fit(whole span) bool {
	return p.Text.within(whole) && p.Files.within(whole) &&
		p.Input.within(p.Text) && p.Output.within(p.Text) && p.Output.at() >= p.Input.end() &&
		(p.Files == span{} || p.Files.at() >= p.Text.end())
}

// openEnd copies an end in pieces to a file without a name, and its input only if that is wanted.
func (b *broker) openEnd(ctx context.Context, at place, p payload, input bool) (e largeEnd, err error) {
	e.parts = p.parts
	whole := span{0, p.object.size}
	if !e.fit(whole) {
		return e, errors.Join(errLost, fmt.Errorf("the parts of %s do not fit: %v", p.object.name, p.parts))
	}
	sections := []span{whole}
	if !input {
		sections = []span{{0, e.Input.at()}, {e.Input.end(), p.object.size - e.Input.end()}}
	}
	if e.file, err = b.objects(at.model).download(ctx, p.object, sections...); err != nil {
		return e, err
	}
	if err = e.readTable(); err != nil {
		return e, errors.Join(errLost, fmt.Errorf("the files of %s: %w", p.object.name, err), e.file.Close())
	}
	return e, nil
}

// readTable reads the table of the files.
func (e *largeEnd) readTable() error {
	table, err := e.read(nil, e.Files)
	if err == nil && len(table) > 0 {
		err = json.Unmarshal(table, &e.files)
	}
	next := e.Output.at()
	for _, f := range e.files {
		if f.At < next || !(span{f.At, f.Size}).within(e.Output) {
			return fmt.Errorf("one at %d is not in the output", f.At)
		}
		next = f.At + f.Size
	}
	return err
}

// read appends a section of the file to dst.
func (e largeEnd) read(dst []byte, s span) ([]byte, error) {
	from := len(dst)
	dst = append(dst, make([]byte, s.size())...)
	_, err := io.ReadFull(io.NewSectionReader(e.file, s.at(), s.size()), dst[from:])
	return dst, err
}

// snapshot returns the end without its output.
func (e largeEnd) snapshot(input bool) (s prediction.Stored, err error) {
	between := span{e.Input.end(), e.Output.at() - e.Input.end()}
	after := span{e.Output.end(), e.Text.end() - e.Output.end()}
	text, err := e.read(nil, span{0, e.Input.at()})
	for _, next := range []span{between, after} {
		if err == nil {
			text, err = e.read(append(text, "null"...), next)
		}
	}
	if err == nil {
		s, err = prediction.ReadSnapshot(text)
	}
	if err == nil && input {
		s.Input, err = e.read(make([]byte, 0, e.Input.size()), e.Input)
	}
	return s, err
}

// value returns a section as JSON. Its files stay on disk and become data URLs; so does the text
// between them if it is longer than most.
func (e largeEnd) value(s span, most int64) (prediction.Value, error) {
	v, text := prediction.Value{Raw: []byte{}}, s.size()
	for _, f := range e.files {
		if (span{f.At, f.Size}).within(s) {
			text -= f.Size
		}
	}
	from := s.at()
	add := func(to int64) (err error) {
		switch {
		case to == from:
		case text <= most:
			v.Raw, err = e.read(v.Raw, span{from, to - from})
		default:
			part := spool.SectionOf(e.file, from, to-from)
			v.Inserts = append(v.Inserts, prediction.Insert{At: len(v.Raw), Text: part})
		}
		return err
	}
	for _, f := range e.files {
		if !(span{f.At, f.Size}).within(s) {
			continue
		}
		if err := add(f.At); err != nil {
			return v, err
		}
		dataURL := files.NewDataURL(f.Type, e.file, f.At, f.Size)
		v.Inserts = append(v.Inserts, prediction.Insert{At: len(v.Raw), Text: dataURL})
		from = f.At + f.Size
	}
	if err := add(s.end()); err != nil {
		return v, err
	}
	if string(v.Raw) == "null" && len(v.Inserts) == 0 {
		return prediction.Value{}, nil
	}
	return v, nil
}

// text is the whole end as JSON. All of it stays on disk.
func (e largeEnd) text() (prediction.Value, error) { return e.value(e.Text, -1) }
