package main

import (
	"cmp"
	"io"
	stdlog "log"
	"log/slog"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lmittmann/tint"
)

// newLogger returns the logger that m asks for. The level is otherwise if m does not set it;
// terminal says whether out is a terminal.
func newLogger(m Logging, out io.Writer, terminal bool, otherwise slog.Level) *slog.Logger {
	least, known := parseLevel(m.LogLevel)
	if !known {
		least = otherwise
	}
	switch format := strings.ToLower(m.LogFormat); {
	case m.logsJSON():
		return slog.New(slog.NewJSONHandler(out,
			&slog.HandlerOptions{Level: least, ReplaceAttr: plainDuration}))
	case format == "console" || format == "" && terminal:
		return slog.New(tint.NewTextHandler(out, &tint.Options{
			Level: least, ReplaceAttr: escaped, TimeFormat: time.TimeOnly,
			NoColor: !terminal || cmp.Or(os.Getenv("NO_COLOR"), "0") != "0",
		}))
	default:
		return slog.New(slog.NewTextHandler(out,
			&slog.HandlerOptions{Level: least, ReplaceAttr: plainDuration}))
	}
}

// plainDuration writes a duration as text in every format, such as "1.2s". slog alone would write
// nanoseconds into JSON.
func plainDuration(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		return slog.String(a.Key, a.Value.Duration().Round(time.Millisecond).String())
	}
	return a
}

// escaped keeps a value from controlling the terminal. tint passes escape sequences on, makes one
// of the letters \x1b, and without colors drops the text after them. It does so with strings, but
// it quotes bytes.
func escaped(groups []string, a slog.Attr) slog.Attr {
	a = plainDuration(groups, a)
	if kind := a.Value.Kind(); kind != slog.KindString && kind != slog.KindAny {
		return a
	}
	text := a.Value.String()
	if strings.Contains(text, "\x1b") || strings.Contains(text, `\x1b`) || !utf8.ValidString(text) {
		return slog.Any(a.Key, []byte(text))
	}
	return a
}

// levels are the names of levels in Python, in Cog's servers and here. debug is the lowest level.
var levels = map[string]slog.Level{
	"trace": slog.LevelDebug, "debug": slog.LevelDebug, "notset": slog.LevelDebug,
	"info": slog.LevelInfo, "warn": slog.LevelWarn, "warning": slog.LevelWarn,
	"error": slog.LevelError, "critical": slog.LevelError, "fatal": slog.LevelError,
	"off": silent,
}

// parseLevel reads the name of a level, or a number of Python's logging, where 10 is debug and 40
// is error. It takes the nearest level.
func parseLevel(text string) (level slog.Level, known bool) {
	text = strings.TrimSpace(text)
	if level, known = levels[strings.ToLower(text)]; known {
		return level, true
	}
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || math.IsNaN(n):
		return 0, false
	case n < 15:
		return slog.LevelDebug, true
	case n < 25:
		return slog.LevelInfo, true
	case n < 35:
		return slog.LevelWarn, true
	default:
		return slog.LevelError, true
	}
}

// quietLog drops net/http's messages about broken clients, because an operator can't act on them.
func quietLog(log *slog.Logger) *stdlog.Logger {
	return slog.NewLogLogger(log.Handler(), slog.LevelDebug)
}
