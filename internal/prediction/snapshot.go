package prediction

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// TimeFormat is the format of every time: RFC 3339, UTC, microseconds. Because fromisoformat of
// Python before 3.11 does not read Z, the zone is a number.
const TimeFormat = "2006-01-02T15:04:05.000000+00:00"

// Time renders t in TimeFormat.
func Time(t time.Time) string { return t.UTC().Format(TimeFormat) }

// Snapshot is the state of a prediction at one moment. Its JSON form is the only one that leaves
// the server. It shares large data with the prediction, so slow readers hold no copies.
type Snapshot struct {
	ID          string
	Status      Status
	Input       json.RawMessage // as the client sent it, with secrets masked
	Output      Value
	Items       []Value // if not empty, the list of them is the output, in place of Output
	Error       string
	Logs        []byte // as the model wrote them, so not always UTF-8
	Metrics     json.RawMessage
	CreatedAt   string // the client's own text if it sent one
	StartedAt   time.Time
	CompletedAt time.Time
	Extra       json.RawMessage // a non-empty object whose members are appended; may be nil
	Worker      string          // which of several servers runs it, or has run it; not in the JSON form
}

// shortBytes is how much of an input, an output or a log Short leaves.
const shortBytes = 1 << 10

// Short is the snapshot for a list: without a large input or output, and with the end of a long
// log.
func (s Snapshot) Short() Snapshot {
	if len(s.Input) > shortBytes {
		s.Input = json.RawMessage("null")
	}
	if s.OutputLen() > shortBytes {
		s.Output, s.Items = Value{}, nil
	}
	if cut := len(s.Logs) - shortBytes; cut > 0 {
		for range utf8.UTFMax - 1 { // drop the rest of a character that was cut
			if utf8.RuneStart(s.Logs[cut]) {
				break
			}
			cut++
		}
		s.Logs = s.Logs[cut:]
	}
	return s
}

// MarshalJSON keeps Input, Output and Metrics byte for byte.
func (s Snapshot) MarshalJSON() ([]byte, error) { return s.AppendJSON(nil), nil }

// AppendJSON appends the JSON object to dst.
func (s Snapshot) AppendJSON(dst []byte) []byte {
	if need := s.bodies() + len(s.Logs)/8 + len(s.Extra) + 512; cap(dst)-len(dst) < need {
		dst = append(make([]byte, 0, len(dst)+need), dst...)
	}
	dst = s.appendHead(dst)
	dst = appendRaw(dst, s.Input, "{}")
	dst = append(dst, outputKey...)
	dst = s.AppendOutput(dst)
	dst = s.appendError(dst)
	var e escaper
	dst = append(e.append(append(dst, '"'), s.Logs), '"')
	return s.appendTail(dst)
}

// largeBytes is the size from which AppendJSON is not worth its copy, which a slow reader would
// hold for as long as it reads.
const largeBytes = 64 << 10

// Large reports whether the JSON object should be written with WriteTo.
func (s Snapshot) Large() bool { return s.bodies() >= largeBytes }

// bodies returns the length of the parts that can be large.
func (s Snapshot) bodies() int { return len(s.Input) + s.OutputLen() + len(s.Logs) }

// Len returns the length of the JSON object.
func (s Snapshot) Len() int {
	head, middle, tail := s.appendHead(nil), s.appendError(nil), s.appendTail(nil)
	return len(head) + cmp.Or(len(s.Input), len("{}")) +
		len(outputKey) + cmp.Or(s.OutputLen(), len("null")) +
		len(middle) + stringLen(s.Logs) + len(tail)
}

// WriteTo writes the bytes that AppendJSON appends, but holds only a piece of them at a time.
func (s Snapshot) WriteTo(w io.Writer) (int64, error) {
	if s.Input == nil {
		s.Input = json.RawMessage("{}")
	}
	if s.OutputLen() == 0 {
		s.Output.Raw = json.RawMessage("null")
	}
	var n count
	out := bufio.NewWriterSize(io.MultiWriter(w, &n), pieceBytes)
	for _, part := range [][]byte{s.appendHead(nil), s.Input, []byte(outputKey)} {
		_, _ = out.Write(part) // Flush returns the first error
	}
	if err := s.writeOutput(out); err != nil {
		return int64(n), err
	}
	_, _ = out.Write(s.appendError(nil))
	if err := writeString(out, s.Logs); err != nil {
		return int64(n), err
	}
	_, _ = out.Write(s.appendTail(nil))
	err := out.Flush()
	return int64(n), err
}

// OutputAt returns the offset of the output in the JSON object.
func (s Snapshot) OutputAt() int {
	return len(s.appendHead(nil)) + cmp.Or(len(s.Input), len("{}")) + len(outputKey)
}

// Decoded returns the snapshot with the contents of each Encoded text in the place of it, and where
// in the result they are. What it writes is not JSON.
func (s Snapshot) Decoded() (Snapshot, []Part) {
	at := int64(s.OutputAt())
	if len(s.Items) == 0 {
		var parts []Part
		s.Output, parts = s.Output.decoded(at)
		return s, parts
	}
	var parts []Part
	items := make([]Value, len(s.Items))
	for i, item := range s.Items {
		at++ // the bracket or the comma before it
		var more []Part
		items[i], more = item.decoded(at)
		parts = append(parts, more...)
		at += int64(items[i].Len())
	}
	s.Items = items
	return s, parts
}

// InputAt returns the offset of the input in the JSON object, and its length.
func (s Snapshot) InputAt() (at, n int) {
	return len(s.appendHead(nil)), cmp.Or(len(s.Input), len("{}"))
}

// OnDisk reports whether a part of the output is not in memory.
func (s Snapshot) OnDisk() bool {
	onDisk := func(item Value) bool { return len(item.Inserts) > 0 }
	return onDisk(s.Output) || slices.ContainsFunc(s.Items, onDisk)
}

// OutputLen returns the length of the output's JSON text, 0 if there is no output.
func (s Snapshot) OutputLen() int {
	if len(s.Items) == 0 {
		return s.Output.Len()
	}
	n := len("[") + len(s.Items)
	for _, item := range s.Items {
		n += item.Len()
	}
	return n
}

// AppendOutput appends the output's JSON text, null if there is no output.
func (s Snapshot) AppendOutput(dst []byte) []byte {
	if len(s.Items) == 0 {
		return s.Output.Append(dst)
	}
	for i, item := range s.Items {
		dst = item.Append(append(dst, before(i)))
	}
	return append(dst, ']')
}

// before returns the byte before item i of a list.
func before(i int) byte {
	if i == 0 {
		return '['
	}
	return ','
}

// Output is the output of a Snapshot alone.
type Output struct{ s Snapshot }

// JustOutput returns the output alone. It writes nothing if there is no output.
func (s Snapshot) JustOutput() Output { return Output{s} }

// Len returns the length of the text.
func (o Output) Len() int { return o.s.OutputLen() }

// WriteTo writes the text.
func (o Output) WriteTo(w io.Writer) (int64, error) {
	var n count
	out := bufio.NewWriterSize(io.MultiWriter(w, &n), pieceBytes)
	if err := o.s.writeOutput(out); err != nil {
		return int64(n), err
	}
	err := out.Flush()
	return int64(n), err
}

func (s Snapshot) writeOutput(w *bufio.Writer) error {
	if len(s.Items) == 0 {
		_, err := s.Output.WriteTo(w)
		return err
	}
	for i, item := range s.Items {
		_ = w.WriteByte(before(i)) // Flush returns the first error
		if _, err := item.WriteTo(w); err != nil {
			return err
		}
	}
	return w.WriteByte(']')
}

const outputKey = `,"output":`

func (s Snapshot) appendHead(dst []byte) []byte {
	dst = append(dst, `{"id":`...)
	dst = AppendString(dst, s.ID)
	dst = append(dst, `,"status":"`...)
	dst = append(dst, s.Status...)
	return append(dst, `","input":`...)
}

// appendError appends the members between output and logs.
func (s Snapshot) appendError(dst []byte) []byte {
	dst = append(dst, `,"error":`...)
	if s.Status == Failed || s.Error != "" {
		dst = AppendString(dst, s.Error)
	} else {
		dst = append(dst, "null"...)
	}
	return append(dst, `,"logs":`...)
}

func (s Snapshot) appendTail(dst []byte) []byte {
	dst = append(dst, `,"metrics":`...)
	dst = appendRaw(dst, s.Metrics, "{}")
	dst = append(dst, `,"created_at":`...)
	dst = AppendString(dst, s.CreatedAt)
	dst = append(dst, `,"started_at":`...)
	dst = appendTime(dst, s.StartedAt)
	dst = append(dst, `,"completed_at":`...)
	dst = appendTime(dst, s.CompletedAt)
	if len(s.Extra) > 0 {
		dst = append(append(dst, ','), s.Extra[1:len(s.Extra)-1]...)
	}
	return append(dst, '}')
}

func appendRaw(dst []byte, raw json.RawMessage, absent string) []byte {
	if raw == nil {
		return append(dst, absent...)
	}
	return append(dst, raw...)
}

func appendTime(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(dst, "null"...)
	}
	dst = append(dst, '"')
	dst = t.UTC().AppendFormat(dst, TimeFormat)
	return append(dst, '"')
}

func appendSeconds(s float64) json.RawMessage {
	return strconv.AppendFloat(nil, s, 'f', 6, 64)
}

func appendCutNotice(dst []byte, limit int) []byte {
	if n := len(dst); n > 0 && dst[n-1] != '\n' {
		dst = append(dst, '\n')
	}
	return fmt.Appendf(dst, "[logs cut: more than %d bytes, see --max-log-bytes]\n", limit)
}
