package main

import (
	"log/slog"
	"slices"
	"sync"

	"github.com/coggo/coggo/internal/examples"
	"github.com/coggo/coggo/internal/schema"
)

// exampleWarnings returns warnings about the examples of a model. Without a schema, there are no
// inputs to compare them with.
func exampleWarnings(dir string, document *schema.Document) []string {
	if document == nil {
		return nil
	}
	return examples.Read(dir, document.Predict()).Warnings
}

// logExamples returns a function that logs these warnings. It is called for each runner, and does
// not log the same warnings again.
func logExamples(dir string, log *slog.Logger) func(*schema.Document) {
	var mu sync.Mutex // guards said
	var said []string
	return func(document *schema.Document) {
		warnings := exampleWarnings(dir, document)
		mu.Lock()
		known := slices.Equal(warnings, said)
		said = warnings
		mu.Unlock()
		if known {
			return
		}
		for _, warning := range warnings {
			log.Warn(warning)
		}
	}
}
