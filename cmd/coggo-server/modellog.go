package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/coggo/coggo/internal/supervisor"
)

// mostLine is the largest part of a line in one JSON object: a longer line takes several.
// partialAfter is how long the log waits for the end of a line.
const (
	mostLine     = 64 << 10
	partialAfter = time.Second
)

// modelLog turns the lines that models write into JSON objects, each with its stream and
// prediction.
type modelLog struct {
	handler slog.Handler
	several bool // there are several runners

	mu    sync.Mutex // guards the rest, and the order of lines
	begun map[supervisor.Origin][]byte
	late  *time.Timer // writes lines that have no end yet; nil if there are none
}

// modelOutput returns a function that writes the output of models, and one to call at the end. If
// the format is JSON, it writes objects, otherwise the bytes as they are.
func modelOutput(
	m Model, runners int, out io.Writer,
) (print func(supervisor.Origin, []byte), end func()) {
	if !m.logsJSON() {
		// A failed write can't be reported.
		return func(_ supervisor.Origin, text []byte) { _, _ = out.Write(text) }, func() {}
	}
	l := &modelLog{
		handler: slog.NewJSONHandler(out, &slog.HandlerOptions{Level: slog.Level(math.MinInt)}),
		several: runners > 1,
		begun:   map[supervisor.Origin][]byte{},
	}
	return l.print, l.end
}

func (l *modelLog) print(from supervisor.Origin, text []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if from.Whole {
		from.Whole = false
		l.finishLocked(from)
		l.piecesLocked(from, bytes.TrimRight(text, "\n"), false)
		return
	}
	for {
		line, rest, ended := bytes.Cut(text, []byte{'\n'})
		if begun := l.begun[from]; begun != nil || !ended {
			line = append(begun, line...) // a copy, because text belongs to the caller
		}
		if !ended {
			l.keepLocked(from, line)
			return
		}
		delete(l.begun, from)
		l.piecesLocked(from, visible(line), false)
		text = rest
	}
}

// keepLocked keeps the beginning of a line until more of it comes.
func (l *modelLog) keepLocked(from supervisor.Origin, line []byte) {
	if len(line) > mostLine {
		line = l.wholePiecesLocked(from, visible(line))
	}
	if len(line) == 0 {
		delete(l.begun, from)
		return
	}
	l.begun[from] = line
	if l.late == nil {
		l.late = time.AfterFunc(partialAfter, l.writePartial)
	}
}

// visible returns the part of a line that a terminal shows, because a progress bar overwrites
// itself.
func visible(line []byte) []byte {
	line = bytes.TrimRight(line, "\r")
	return line[bytes.LastIndexByte(line, '\r')+1:]
}

// wholePiecesLocked writes the full pieces of a line without an end, and returns the rest.
func (l *modelLog) wholePiecesLocked(from supervisor.Origin, line []byte) (rest []byte) {
	for len(line) > mostLine {
		cut := mostLine
		for cut > mostLine-utf8.UTFMax && !utf8.RuneStart(line[cut]) {
			cut--
		}
		l.writeLocked(from, line[:cut], true)
		line = line[cut:]
	}
	return line
}

func (l *modelLog) piecesLocked(from supervisor.Origin, line []byte, partial bool) {
	if line = l.wholePiecesLocked(from, line); len(line) > 0 {
		l.writeLocked(from, line, partial)
	}
}

// finishLocked ends a line because another one follows.
func (l *modelLog) finishLocked(from supervisor.Origin) {
	line := l.begun[from]
	delete(l.begun, from)
	l.piecesLocked(from, visible(line), false)
}

func (l *modelLog) writePartial() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.late = nil
	for from, line := range l.begun {
		delete(l.begun, from)
		l.piecesLocked(from, visible(line), true)
	}
}

// end writes lines that will never have an end.
func (l *modelLog) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.late != nil {
		l.late.Stop()
	}
	for from := range l.begun {
		l.finishLocked(from)
	}
}

// writeLocked writes one object, in the form of the server's own lines.
func (l *modelLog) writeLocked(from supervisor.Origin, line []byte, partial bool) {
	r := slog.NewRecord(time.Now(), slog.LevelInfo, string(line), 0)
	r.AddAttrs(slog.String("stream", from.Stream))
	if l.several {
		r.AddAttrs(slog.Int("runner", from.Runner))
	}
	if from.ID != "" {
		r.AddAttrs(slog.String("id", from.ID))
	}
	if partial {
		r.AddAttrs(slog.Bool("partial", true))
	}
	_ = l.handler.Handle(context.Background(), r) // a failed write can't be reported
}

// logsJSON reports whether the log consists of JSON objects.
func (m Logging) logsJSON() bool { return strings.EqualFold(m.LogFormat, "json") }
