package files

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"strings"
)

// parseData parses a data URL, given without its scheme. body decodes while it is read, so memory
// holds only the text, and not the file too.
func parseData(text string) (mediaType string, body io.Reader, err error) {
	head, data, found := strings.Cut(text, ",")
	if !found {
		return "", nil, errors.New("there is no comma before the data")
	}
	parts := strings.Split(head, ";")
	mediaType = strings.ToLower(strings.TrimSpace(parts[0]))
	if mediaType == "" {
		mediaType = "text/plain"
	}
	body = &percentReader{data}
	last := strings.TrimSpace(parts[len(parts)-1])
	if len(parts) > 1 && strings.EqualFold(last, "base64") {
		body = base64.NewDecoder(base64.RawStdEncoding, &alphabetReader{source: body})
	}
	return mediaType, body, nil
}

// percentReader decodes percent-encoding. A percent sign without two hexadecimal digits stands for
// itself.
type percentReader struct{ text string }

func (r *percentReader) Read(p []byte) (int, error) {
	if r.text == "" {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) && r.text != "" {
		// A search beyond the size of p would scan a large text once for each read.
		window := r.text[:min(len(r.text), len(p)-n)]
		plain := strings.IndexByte(window, '%')
		if plain < 0 {
			plain = len(window)
		}
		n += copy(p[n:], window[:plain])
		r.text = r.text[plain:]
		if plain < len(window) {
			p[n] = r.percent()
			n++
		}
	}
	return n, nil
}

// percent decodes the sequence at the start of the text.
func (r *percentReader) percent() byte {
	if len(r.text) >= 3 {
		if b, err := hex.DecodeString(r.text[1:3]); err == nil {
			r.text = r.text[3:]
			return b[0]
		}
	}
	r.text = r.text[1:]
	return '%'
}

// alphabetReader converts every dialect of base64 to one without padding and white space, with +
// and / instead of - and _.
type alphabetReader struct {
	source io.Reader
	padded bool // the padding has been read
}

func (r *alphabetReader) Read(p []byte) (int, error) {
	for {
		n, err := r.source.Read(p)
		kept, bad := r.keep(p[:n])
		if bad != nil {
			return 0, bad
		}
		if kept > 0 || err != nil || len(p) == 0 {
			return kept, err
		}
	}
}

// keep moves the bytes of the alphabet to the front of p and returns their number.
func (r *alphabetReader) keep(p []byte) (int, error) {
	kept := 0
	for _, c := range p {
		switch c {
		case ' ', '\t', '\r', '\n', '\f':
			continue
		case '=':
			r.padded = true
			continue
		case '-':
			c = '+'
		case '_':
			c = '/'
		}
		if r.padded {
			return 0, errors.New("base64 data continues after its padding")
		}
		p[kept] = c
		kept++
	}
	return kept, nil
}
