package files

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// maxCodings bounds the encodings of a response, one inside the other, because each needs memory.
const maxCodings = 3

// The output of a decoder may be maxRatio times as large as its input: Apache allows as much. A
// file of at most freeOfRatio bytes may be larger than that, as an empty mask is.
const (
	maxRatio    = 200
	freeOfRatio = 16 << 20
)

// ratioError says that a file grows suspiciously when it is decoded.
type ratioError struct{}

func (ratioError) Error() string {
	return fmt.Sprintf(
		"the decoded file is more than %d times as large as the encoded one", maxRatio)
}

// decoded returns the file in a response, without its content encodings. The encoded file may be
// maxBytes long; 0: no limit.
func decoded(response *http.Response, maxBytes int64) (io.Reader, error) {
	codings, err := codingsOf(response.Header)
	if err != nil || len(codings) == 0 {
		return response.Body, err
	}
	sent := &counter{Reader: response.Body, limit: maxBytes}
	file := io.Reader(sent)
	for _, coding := range slices.Backward(codings) { // the header has the first applied one first
		if file, err = newDecoder(coding, file); err != nil {
			return nil, undecodable(err)
		}
	}
	return &decoder{Reader: file, sent: sent}, nil
}

// codingsOf returns the encodings of a response.
func codingsOf(header http.Header) ([]string, error) {
	var codings []string
	for _, line := range header.Values("Content-Encoding") {
		for coding := range strings.SplitSeq(line, ",") {
			// Other values aren't encodings. Stores repeat the uploader's header: utf-8, base64,
			// aws-chunked.
			switch coding = strings.ToLower(strings.TrimSpace(coding)); coding {
			case "gzip", "x-gzip", "deflate":
				codings = append(codings, coding)
			case "br", "zstd", "compress", "x-compress", "dcb", "dcz", "exi", "pack200-gzip",
				"aes128gcm":
				return nil, fmt.Errorf("the file comes with the Content-Encoding %q; "+
					"only gzip and deflate can be decoded", coding)
			}
		}
	}
	if len(codings) > maxCodings {
		return nil, fmt.Errorf(
			"the file comes with %d Content-Encodings; at most %d can be decoded",
			len(codings), maxCodings)
	}
	return codings, nil
}

func newDecoder(coding string, encoded io.Reader) (io.Reader, error) {
	source := bufio.NewReader(encoded)
	start, err := source.Peek(2)
	switch {
	case len(start) == 0 && errors.Is(err, io.EOF):
		return source, nil // an empty file is often sent without an encoding
	case coding != "deflate":
		return newMembers(source)
	case len(start) == 2 && start[0]&0xf == 8 && binary.BigEndian.Uint16(start)%31 == 0:
		return zlib.NewReader(source) // as RFC 9110 requires
	default:
		return flate.NewReader(source), nil // as some servers send it
	}
}

// members reads the members of a gzip file, one after the other. It drops other bytes after the
// last one, as other clients do, because some sources pad with zeros.
type members struct {
	*gzip.Reader
	source *bufio.Reader
}

func newMembers(source *bufio.Reader) (*members, error) {
	first, err := gzip.NewReader(source)
	if err != nil {
		return nil, err
	}
	first.Multistream(false)
	return &members{first, source}, nil
}

func (m *members) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	if start, _ := m.source.Peek(2); string(start) == "\x1f\x8b" {
		err = m.Reset(m.source)
		m.Multistream(false)
		return n, err
	}
	if _, err := io.Copy(io.Discard, m.source); err != nil {
		return n, err
	}
	return n, io.EOF
}

// counter counts the bytes that are read.
type counter struct {
	io.Reader
	n     int64
	limit int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	if c.limit > 0 && c.n > c.limit {
		return n, TooLargeError(c.limit)
	}
	return n, err
}

// decoder bounds the decoded bytes by the encoded ones.
type decoder struct {
	io.Reader
	sent *counter
	n    int64
}

func (d *decoder) Read(p []byte) (int, error) {
	n, err := d.Reader.Read(p)
	d.n += int64(n)
	if d.n > freeOfRatio && d.n/maxRatio > d.sent.n {
		return n, ratioError{}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = undecodable(err)
	}
	return n, err
}

// undecodable says of an error, unless it is about the limit, that it came from decoding.
func undecodable(err error) error {
	if errors.As(err, new(TooLargeError)) {
		return err
	}
	return fmt.Errorf("decode its Content-Encoding: %w", err)
}
