package main

import (
	"log/slog"
	"slices"
	"sync"

	"github.com/coggo/coggo/internal/examples"
	"github.com/coggo/coggo/internal/schema"
)

// exampleWarnings are about the examples beside a model. A model without a schema has no inputs to compare them with.
func exampleWarnings(dir string, document *schema.Document) []string {
	if document == nil {
		return nil
	}
	return examples.Read(dir, document.Predict()).Warnings
}

// logExamples returns what logs these warnings; several runners come up with the same, which is logged once.
func logExamples(dir string, log *slog.Logger) func(*schema.Document) {
	var mu sync.Mutex // guards said
	var said []string
	return func(document *schema.Document) {
		warnings := exampleWarnings(dir, document)
		mu.Lock()
		defer mu.Unlock()
		if !slices.Equal(warnings, said) {
			for _, warning := range warnings {
				log.Warn(warning)
			}
		}
		said = warnings
	}
}
