package schema

import "encoding/json"

// edit replaces a part of the text. Edits of one text do not overlap and are in its order.
type edit struct {
	span
	text string
}

// apply returns raw with all edits made: raw itself when there are none, else one new text of the right size.
func apply(raw []byte, edits []edit) json.RawMessage {
	if len(edits) == 0 {
		return raw
	}
	size := len(raw)
	for _, e := range edits {
		size += len(e.text) - (e.end - e.start)
	}
	out := make([]byte, 0, size)
	at := 0
	for _, e := range edits {
		out = append(out, raw[at:e.start]...)
		out = append(out, e.text...)
		at = e.end
	}
	return append(out, raw[at:]...)
}
