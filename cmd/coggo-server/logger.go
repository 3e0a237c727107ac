package main

import (
	"cmp"
	"io"
	stdlog "log"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/lmittmann/tint"
)

// newLogger writes as m says; terminal is what out is when m does not say.
func newLogger(m Model, out io.Writer, terminal bool, otherwise slog.Level) *slog.Logger {
	least := level(m.LogLevel, otherwise)
	switch format := strings.ToLower(m.LogFormat); {
	case format == "json":
		return slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: least}))
	case format == "console" || format == "" && terminal:
		return slog.New(tint.NewTextHandler(out, &tint.Options{
			Level: least, TimeFormat: time.TimeOnly, NoColor: !terminal || cmp.Or(os.Getenv("NO_COLOR"), "0") != "0",
		}))
	default:
		return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: least}))
	}
}

// levels are the names that a level may have, Python's among them.
var levels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "warning": slog.LevelWarn,
	"error": slog.LevelError, "critical": slog.LevelError, "fatal": slog.LevelError,
}

func level(name string, otherwise slog.Level) slog.Level {
	if l, known := levels[strings.ToLower(name)]; known {
		return l
	}
	return otherwise
}

// quietLog takes what net/http says of broken clients: nothing for an operator to act on.
func quietLog(log *slog.Logger) *stdlog.Logger {
	return slog.NewLogLogger(log.Handler(), slog.LevelDebug)
}
