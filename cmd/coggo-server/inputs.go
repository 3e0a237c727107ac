package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/coggo/coggo/internal/files"
)

// given is the input of a prediction from the command line.
type given struct {
	store  *files.Store
	values map[string][]json.RawMessage // several for a list, nil for null
	typed  map[string]string            // how files were given, by their addresses in the input
}

// readInputs makes the input object from words such as prompt=hi and image=@in.png.
func readInputs(words []string, s signature, store *files.Store) (*given, error) {
	g := &given{store: store, values: map[string][]json.RawMessage{}, typed: map[string]string{}}
	var wrong []error
	for _, word := range words {
		name, text, found := strings.Cut(word, "=")
		p, known := s.input(name)
		switch {
		case !found:
			wrong = append(wrong, fmt.Errorf("-i %s: write NAME=VALUE", word))
			continue
		case !known && !s.open:
			table := strings.TrimRight(s.table("  "), "\n")
			wrong = append(wrong, fmt.Errorf(
				"-i %s: the model has no such input; its inputs are:\n%s", name, table))
			continue
		}
		value, err := g.value(p, text)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("-i %s: %w", name, err))
		}
		if g.values[name] == nil {
			g.values[name] = value // an empty list is not null
		} else {
			g.values[name] = append(g.values[name], value...)
		}
		if p.Type != "array" && len(g.values[name]) > 1 {
			wrong = append(wrong, fmt.Errorf(
				"-i %s: given more than once, but it is not a list", name))
		}
	}
	return g, errors.Join(wrong...)
}

// value interprets text as a value of an input. It returns several values for a list that is
// written as JSON, and nil for null.
func (g *given) value(p property, text string) ([]json.RawMessage, error) {
	if p.Type == "array" {
		var list []json.RawMessage
		if json.Unmarshal([]byte(text), &list) == nil {
			return list, nil
		}
		if p.Items != nil {
			p = *p.Items
		}
	}
	if at, ok := strings.CutPrefix(text, "@"); ok && !strings.HasPrefix(at, "@") {
		content, err := g.read(p, at)
		return []json.RawMessage{content}, err
	} else if ok {
		text = at
	}
	if !p.text() && json.Valid([]byte(text)) {
		return []json.RawMessage{json.RawMessage(text)}, nil
	}
	// The schema turns "yes" into true, or says why it can't.
	return []json.RawMessage{quote(text)}, nil
}

// read reads a file. It stays a file if the model wants one, else its text is the value.
func (g *given) read(p property, path string) (json.RawMessage, error) {
	if !p.file() {
		data, err := os.ReadFile(path)
		return quote(string(data)), err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	stored, err := g.store.Put(filepath.Base(path), "", file)
	if err != nil {
		return nil, err
	}
	// The store is asked before any host.
	address := "http://localhost" + files.StoredPath + stored.ID
	g.typed[address] = "@" + path
	return quote(address), nil
}

func quote(text string) json.RawMessage {
	data, _ := json.Marshal(text) // strings can always be encoded
	return data
}

// object returns the input.
func (g *given) object(s signature) json.RawMessage {
	members := map[string]any{}
	for name, values := range g.values {
		if p, _ := s.input(name); p.Type == "array" {
			members[name] = values
		} else {
			members[name] = values[0]
		}
	}
	data, _ := json.Marshal(members) // every value is JSON
	return data
}

// shown returns the input with the names of files in place of their addresses.
func (g *given) shown(input json.RawMessage) json.RawMessage {
	for _, address := range slices.Sorted(maps.Keys(g.typed)) {
		input = bytes.ReplaceAll(input, quote(address), quote(g.typed[address]))
	}
	return input
}
