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

func level(name string, otherwise slog.Level) slog.Level {
	switch strings.ToLower(name) {
	case "debug":
		return slog.LevelDebug
	case "info":
		return slog.LevelInfo
	case "warn", "warning":
		return slog.LevelWarn
	case "error", "critical", "fatal":
		return slog.LevelError
	default:
		return otherwise
	}
}

// quietLog takes what net/http says of broken clients: nothing for an operator to act on.
func quietLog(log *slog.Logger) *stdlog.Logger {
	return slog.NewLogLogger(log.Handler(), slog.LevelDebug)
}
