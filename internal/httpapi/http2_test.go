package httpapi

import (
	"bytes"
	"testing"
)

// frame returns a frame of this kind with a payload of size bytes.
func frame(kind, flags byte, size int) []byte {
	return append([]byte{byte(size >> 16), byte(size >> 8), byte(size), kind, flags, 0, 0, 0, 1}, make([]byte, size)...)
}

func TestUnfinishedFramesAreRecognizedInAnyPieces(t *testing.T) {
	const pingFrame = 0x6
	for name, row := range map[string]struct {
		frames []byte
		midway bool // once all of it has come
	}{
		"nothing":                    {nil, false},
		"headers":                    {frame(headersFrame, endHeaders, 300), false},
		"headers of nothing":         {frame(headersFrame, endHeaders, 0), false},
		"headers that go on":         {frame(headersFrame, 0, 300), true},
		"headers in two frames":      {append(frame(headersFrame, 0, 5), frame(continuationFrame, endHeaders, 70_000)...), false},
		"headers in many frames":     {bytes.Repeat(frame(continuationFrame, 0, 2), 9), true},
		"half of the headers":        {frame(headersFrame, endHeaders, 300)[:100], true},
		"half of the head":           {frame(dataFrame, 0, 300)[:5], true},
		"a body":                     {frame(dataFrame, 1, 300), false},
		"half of a body":             {frame(dataFrame, 1, 300)[:100], false},
		"a body and half a ping":     {append(frame(dataFrame, 1, 3), frame(pingFrame, 0, 8)[:12]...), true},
		"a ping with a flag":         {frame(pingFrame, endHeaders, 8), false},
		"a ping, half of a body":     {append(frame(pingFrame, 0, 8), frame(dataFrame, 0, 9)[:10]...), false},
		"headers, half of the next":  {append(frame(headersFrame, endHeaders, 3), frame(headersFrame, endHeaders, 3)[:10]...), true},
		"headers that look like one": {append(frame(headersFrame, endHeaders, 9), frame(dataFrame, 0, 2)...), false},
	} {
		for size := 1; size <= len(row.frames)+1; size++ {
			var f frames
			for rest := row.frames; len(rest) > 0; {
				n := min(size, len(rest))
				f.take(rest[:n])
				rest = rest[n:]
			}
			if f.midway() != row.midway {
				t.Errorf("%s in pieces of %d bytes: midway is %v", name, size, f.midway())
				break
			}
		}
	}
}

func TestOnlyTheWholePrefaceAtTheBeginningMeansHTTP2(t *testing.T) {
	for name, row := range map[string]struct {
		data  string
		means bool
	}{
		"the preface":        {http2Preface, true},
		"with a frame":       {http2Preface + string(frame(0x4, 0, 6)), true},
		"half of it":         {http2Preface[:23], false},
		"after a line break": {"\r\n" + http2Preface, false},
		"after a request":    {"GET / HTTP/1.1\r\n\r\n" + http2Preface, false},
		"of another version": {"PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n", false},
		"with another end":   {"PRI * HTTP/2.0\r\n\r\nSM\r\n\rx", false},
		"in small letters":   {"pri * http/2.0\r\n\r\nsm\r\n\r\n", false},
	} {
		for size := 1; size <= len(row.data); size++ {
			var c conn
			for rest := []byte(row.data); len(rest) > 0; {
				n := min(size, len(rest))
				if c.frames == nil {
					c.greeted(rest[:n])
				}
				rest = rest[n:]
			}
			if (c.frames != nil) != row.means {
				t.Errorf("%s in pieces of %d bytes", name, size)
				break
			}
		}
	}
}
