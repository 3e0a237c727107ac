package main

import (
	stdlog "log"
	"log/slog"
	"os"
	"strings"
)

// newLogger writes to standard error, as text or, with LOG_FORMAT=json, as JSON.
func newLogger(c Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: level(c.LogLevel)}
	if strings.EqualFold(os.Getenv("LOG_FORMAT"), "json") {
		return slog.New(slog.NewJSONHandler(os.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, options))
}

func level(name string) slog.Level {
	switch strings.ToLower(name) {
	case "debug":
		return slog.LevelDebug
	case "warn", "warning":
		return slog.LevelWarn
	case "error", "critical", "fatal":
		return slog.LevelError
	default:
		return slog.LevelInfo
	}
}

// quietLog takes what net/http says of broken clients: nothing for an operator to act on.
func quietLog(log *slog.Logger) *stdlog.Logger {
	return slog.NewLogLogger(log.Handler(), slog.LevelDebug)
}
