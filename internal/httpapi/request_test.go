package httpapi

import (
	"bytes"
	"testing"
)

func TestABodyTakesMemoryAsItArrives(t *testing.T) {
	const small, middle, large = 32 << 10, 1 << 20, 3 << 20
	for _, c := range []struct{ came, length, most int }{
		{0, large, small},
		{small - 1, large, small},
		{small, large, middle},
		{middle - 1, large, middle},
		{middle, large, large},
		{large, large, large},
		{0, 0, 0},
		{7, 7, 7},
		{small, small, small},
		{small + 1, small + 1, small + 1},
		{middle + 1, middle + 1, middle + 1},
		{5, 7, 7},
		{small, small + 1, small + 1},
	} {
		sent := bytes.Repeat([]byte("0123456789abc"), c.came/13+1)[:c.came]
		body, err := readSized(bytes.NewReader(sent), c.length)
		if cap(body) > c.most || (err == nil) != (c.came == c.length) || !bytes.HasPrefix(body, sent) {
			t.Errorf("%d of %d bytes take %d, not %d: %v", c.came, c.length, cap(body), c.most, err)
		}
	}
}
