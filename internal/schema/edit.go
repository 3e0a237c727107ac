package schema

import (
	"encoding/json"

	"github.com/coggo/coggo/internal/jsonscan"
)

// edit replaces a part of the text. Edits of one text do not overlap and are in its order.
type edit struct {
	jsonscan.Span
	text string
}

// apply returns raw with all edits made: raw itself when there are none, else one new text of the right size.
func apply(raw []byte, edits []edit) json.RawMessage {
	if len(edits) == 0 {
		return raw
	}
	size := len(raw)
	for _, e := range edits {
		size += len(e.text) - (e.End - e.Start)
	}
	out := make([]byte, 0, size)
	at := 0
	for _, e := range edits {
		out = append(out, raw[at:e.Start]...)
		out = append(out, e.text...)
		at = e.End
	}
	return append(out, raw[at:]...)
}
