package prediction

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"hash"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Digest is the same for inputs that ask for the same run: white space, the order of members and
// the way in which text is escaped make no difference. An absent input equals an empty one. It
// takes no copy of the input, which can be large.
func (r Request) Digest() [sha256.Size]byte {
	input := r.Input
	if input == nil {
		input = json.RawMessage("{}")
	}
	d := digester{jsontext.NewDecoder(bytes.NewBuffer(input), jsontext.AllowDuplicateNames(true))}
	sum := sha256.New()
	if d.value(sum) != nil { // it was checked before
		return sha256.Sum256(input)
	}
	return [sha256.Size]byte(sum.Sum(nil))
}

// digester reads one value after the other. Each value adds text to a digest that begins with its
// kind and says where it ends, so different values add different text.
type digester struct{ *jsontext.Decoder }

func (d digester) value(sum hash.Hash) error {
	switch d.PeekKind() {
	case '{':
		return d.object(sum)
	case '[':
		return d.array(sum)
	default:
		text, err := d.ReadValue()
		if err == nil {
			err = scalar(sum, text)
		}
		return err
	}
}

// scalar adds a string as it reads, and anything else as it is written: large numbers would become
// equal as floats.
func scalar(sum hash.Hash, text []byte) error {
	if text[0] == '"' {
		if bytes.IndexByte(text, '\\') < 0 {
			text = text[1 : len(text)-1]
		} else {
			var err error
			if text, err = jsontext.AppendUnquote(nil, text); err != nil {
				return err
			}
		}
		sum.Write([]byte{'"'})
	}
	sum.Write(strconv.AppendInt(nil, int64(len(text)), 10))
	sum.Write([]byte{':'})
	sum.Write(text)
	return nil
}

func (d digester) array(sum hash.Hash) error {
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	sum.Write([]byte{'['})
	for d.PeekKind() != ']' {
		if err := d.value(sum); err != nil {
			return err
		}
	}
	sum.Write([]byte{']'})
	_, err := d.ReadToken()
	return err
}

// member is a member of an object: its name, and the digest of its value.
type member struct {
	name string
	sum  [sha256.Size]byte
}

func (d digester) object(sum hash.Hash) error {
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	var members []member
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		m, own := member{name: name.String()}, sha256.New()
		if err := d.value(own); err != nil {
			return err
		}
		own.Sum(m.sum[:0])
		members = append(members, m)
	}
	slices.SortStableFunc(members, func(a, b member) int { return cmp.Compare(a.name, b.name) })
	sum.Write([]byte{'{'})
	for _, m := range members {
		sum.Write(strconv.AppendInt(nil, int64(len(m.name)), 10))
		sum.Write([]byte{':'})
		sum.Write([]byte(m.name))
		sum.Write(m.sum[:])
	}
	sum.Write([]byte{'}'})
	_, err := d.ReadToken()
	return err
}
