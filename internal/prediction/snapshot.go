package prediction

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"
)

// TimeFormat is how every time is written: RFC 3339, UTC, microseconds.
const TimeFormat = "2006-01-02T15:04:05.000000Z"

// Time renders t in TimeFormat.
func Time(t time.Time) string { return t.UTC().Format(TimeFormat) }

// Snapshot is a prediction at one moment, and its JSON form the only one that leaves the server. What can be large in it is
// shared with the prediction, so that those who read it slowly hold no copies.
type Snapshot struct {
	ID          string
	Status      Status
	Input       json.RawMessage // what the client sent, secrets masked
	Output      Value
	Items       []Value // what was yielded: the list that the output is, in place of Output
	Error       string
	Logs        []byte // as they were written, so not always UTF-8
	Metrics     json.RawMessage
	CreatedAt   string // the client's own text where it sent one
	StartedAt   time.Time
	CompletedAt time.Time
	More        json.RawMessage // a non-empty object whose members are appended; may be nil
}

// MarshalJSON keeps Input, Output and Metrics byte for byte.
func (s Snapshot) MarshalJSON() ([]byte, error) { return s.AppendJSON(nil), nil }

// AppendJSON appends the JSON object to dst.
func (s Snapshot) AppendJSON(dst []byte) []byte {
	if need := s.bodies() + len(s.Logs)/8 + len(s.More) + 512; cap(dst)-len(dst) < need {
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

// largeBytes is from where on a copy is worth avoiding: it would be held for as long as its reader takes.
const largeBytes = 64 << 10

// Large reports whether the JSON object should be written with WriteJSON.
func (s Snapshot) Large() bool { return s.bodies() >= largeBytes }

// bodies is the length of what can be large.
func (s Snapshot) bodies() int { return len(s.Input) + s.OutputLen() + len(s.Logs) }

// WriteJSON writes what AppendJSON appends, and holds no more than a piece of it. It calls length with the number of bytes
// before.
func (s Snapshot) WriteJSON(w io.Writer, length func(n int)) error {
	if s.Input == nil {
		s.Input = json.RawMessage("{}")
	}
	if s.OutputLen() == 0 {
		s.Output.Raw = json.RawMessage("null")
	}
	head, middle, tail := s.appendHead(nil), s.appendError(nil), s.appendTail(nil)
	length(len(head) + len(s.Input) + len(outputKey) + s.OutputLen() + len(middle) + stringLen(s.Logs) + len(tail))
	out := bufio.NewWriterSize(w, pieceBytes)
	for _, part := range [][]byte{head, s.Input, []byte(outputKey)} {
		_, _ = out.Write(part) // Flush returns the first error
	}
	if err := s.writeOutput(out); err != nil {
		return err
	}
	_, _ = out.Write(middle)
	if err := writeString(out, s.Logs); err != nil {
		return err
	}
	_, _ = out.Write(tail)
	return out.Flush()
}

// OutputLen is the length of the output's JSON text, 0 when there is none.
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

// AppendOutput appends the output's JSON text, null when there is none.
func (s Snapshot) AppendOutput(dst []byte) []byte {
	if len(s.Items) == 0 {
		return s.Output.Append(dst)
	}
	for i, item := range s.Items {
		dst = item.Append(append(dst, before(i)))
	}
	return append(dst, ']')
}

// before is what comes before the item i of a list.
func before(i int) byte {
	if i == 0 {
		return '['
	}
	return ','
}

// WriteOutput writes the output's JSON text, nothing when there is none.
func (s Snapshot) WriteOutput(w io.Writer) error {
	out := bufio.NewWriterSize(w, pieceBytes)
	if err := s.writeOutput(out); err != nil {
		return err
	}
	return out.Flush()
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

// appendError appends what is between output and logs.
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
	if len(s.More) > 0 {
		dst = append(append(dst, ','), s.More[1:len(s.More)-1]...)
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
