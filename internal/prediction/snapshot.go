package prediction

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// TimeFormat is how every time is written: RFC 3339, UTC, microseconds.
const TimeFormat = "2006-01-02T15:04:05.000000Z"

// Time renders t in TimeFormat.
func Time(t time.Time) string { return t.UTC().Format(TimeFormat) }

// Snapshot is a prediction at one moment, and its JSON form the only one that leaves the server.
type Snapshot struct {
	ID          string
	Status      Status
	Input       json.RawMessage // what the client sent, secrets masked
	Output      json.RawMessage // nil means null
	Inserts     []Insert        // what belongs into Output besides, in order
	Error       string
	Logs        string
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
	if need := s.bodies() + len(s.Logs) + len(s.More) + 512; cap(dst)-len(dst) < need {
		dst = append(make([]byte, 0, len(dst)+need), dst...)
	}
	dst = s.appendHead(dst)
	dst = appendRaw(dst, s.Input, "{}")
	dst = append(dst, outputKey...)
	dst = s.AppendOutput(dst)
	return s.appendTail(dst)
}

// bodies is the length of what can be large.
func (s Snapshot) bodies() int { return len(s.Input) + s.OutputLen() }

const outputKey = `,"output":`

func (s Snapshot) appendHead(dst []byte) []byte {
	dst = append(dst, `{"id":`...)
	dst = AppendString(dst, s.ID)
	dst = append(dst, `,"status":"`...)
	dst = append(dst, s.Status...)
	return append(dst, `","input":`...)
}

func (s Snapshot) appendTail(dst []byte) []byte {
	dst = append(dst, `,"error":`...)
	if s.Status == Failed || s.Error != "" {
		dst = AppendString(dst, s.Error)
	} else {
		dst = append(dst, "null"...)
	}
	dst = append(dst, `,"logs":`...)
	dst = AppendString(dst, s.Logs)
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

// AppendString appends s as a JSON string.
func AppendString(dst []byte, s string) []byte {
	if plain(s) {
		dst = append(dst, '"')
		dst = append(dst, s...)
		return append(dst, '"')
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}

// plain reports whether s needs no escape; the common case, worth a scan.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
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
