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

// given is the input of a prediction, as it was written at the command line.
type given struct {
	store  *files.Store
	values map[string][]json.RawMessage // any number for a list, nil for null
	typed  map[string]string            // what stands for a file, by the address that it was given
}

// readInputs makes the input object of words such as prompt=hi and image=@in.png.
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
			wrong = append(wrong, fmt.Errorf("-i %s: the model has no such input; its inputs are:\n%s", name, strings.TrimRight(s.table("  "), "\n")))
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
			wrong = append(wrong, fmt.Errorf("-i %s: given more than once, but it is not a list", name))
		}
	}
	return g, errors.Join(wrong...)
}

// value is what text means for an input; any number of values for a list that is written as JSON,
// and nil for its null.
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
	return []json.RawMessage{quote(text)}, nil // the schema turns "yes" into true, or says what is wrong
}

// read takes a file: as such where the model wants one, else its text.
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
	address := "http://localhost" + files.StoredPath + stored.ID // the store is asked before any host
	g.typed[address] = "@" + path
	return quote(address), nil
}

func quote(text string) json.RawMessage {
	data, _ := json.Marshal(text) // a string always has a form in JSON
	return data
}

// object is the input.
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

// shown is the input with the names of files in place of their addresses.
func (g *given) shown(input json.RawMessage) json.RawMessage {
	for _, address := range slices.Sorted(maps.Keys(g.typed)) {
		input = bytes.ReplaceAll(input, quote(address), quote(g.typed[address]))
	}
	return input
}
