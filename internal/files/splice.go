package files

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// hole is the text that a filling replaces.
const hole = "null"

// filling is a JSON value of a known size that replaces the hole at an offset. fill writes it to a
// slice of that size. For a value that stays out of the text, left is set instead.
type filling struct {
	at   int
	size int
	fill func(dst []byte) error
	left *DataURL
}

// textFilling returns the filling with a text.
func textFilling(text []byte) filling {
	return filling{size: len(text), fill: func(dst []byte) error {
		copy(dst, text)
		return nil
	}}
}

// splice returns text with its holes filled, in one allocation because an output can be as large as
// its files. It also returns the values that stay out of the text.
func splice(
	ctx context.Context, text []byte, fillings []filling,
) (json.RawMessage, []Insert, error) {
	slices.SortFunc(fillings, func(a, b filling) int { return cmp.Compare(a.at, b.at) })
	size := len(text)
	for _, f := range fillings {
		size += f.size - len(hole)
	}
	out := make([]byte, 0, size)
	var inserts []Insert
	from := 0
	for _, f := range fillings {
		if err := context.Cause(ctx); err != nil {
			return nil, nil, err
		}
		out = append(out, text[from:f.at]...)
		from = f.at + len(hole)
		if f.left != nil {
			inserts = append(inserts, Insert{len(out), f.left})
			continue
		}
		start := len(out)
		out = out[:start+f.size]
		if err := f.fill(out[start:]); err != nil {
			return nil, nil, err
		}
	}
	return append(out, text[from:]...), inserts, nil
}

// place is a node of the tree of all pointers.
type place struct {
	entry    int // index of the entry that belongs here; -1: there isn't one
	children map[string]*place
}

func newPlace() *place { return &place{entry: -1, children: map[string]*place{}} }

func (p *place) add(pointer string, entry int) {
	if pointer != "" {
		for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
			key := strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
			if p.children[key] == nil {
				p.children[key] = newPlace()
			}
			p = p.children[key]
		}
	}
	p.entry = entry
}

// locate returns the offset of the hole of each entry. It skips the parts of text without holes.
func locate(text []byte, entries []Entry) ([]int, error) {
	root := newPlace()
	offsets := make([]int, len(entries))
	for i, e := range entries {
		root.add(e.Pointer, i)
		offsets[i] = -1
	}
	decoder := jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true))
	l := locator{decoder, offsets}
	if err := l.value(root); err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	for i, offset := range offsets {
		if offset < 0 {
			return nil, fmt.Errorf("output: there is no place for the file %s at %q",
				entries[i].Path, entries[i].Pointer)
		}
	}
	return offsets, nil
}

type locator struct {
	*jsontext.Decoder
	offsets []int
}

func (l *locator) value(p *place) error {
	switch kind := l.PeekKind(); {
	case kind == 'n' && p.entry >= 0:
		err := l.SkipValue()
		l.offsets[p.entry] = int(l.InputOffset()) - len(hole)
		return err
	case kind == '{' && len(p.children) > 0:
		return l.container('}', func(int) (string, error) {
			name, err := l.ReadToken()
			if err != nil {
				return "", err
			}
			return name.String(), nil
		}, p)
	case kind == '[' && len(p.children) > 0:
		return l.container(']', func(i int) (string, error) { return strconv.Itoa(i), nil }, p)
	default:
		return l.SkipValue()
	}
}

// container reads an object or an array; key returns the name of the next member.
func (l *locator) container(
	closing jsontext.Kind, key func(i int) (string, error), p *place,
) error {
	if _, err := l.ReadToken(); err != nil {
		return err
	}
	for i := 0; l.PeekKind() != closing; i++ {
		name, err := key(i)
		if err != nil {
			return err
		}
		if child := p.children[name]; child != nil {
			err = l.value(child)
		} else {
			err = l.SkipValue()
		}
		if err != nil {
			return err
		}
	}
	_, err := l.ReadToken()
	return err
}
