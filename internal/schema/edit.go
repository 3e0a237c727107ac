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

// mostEdits is how many edits are kept. One takes 30 times the room of a number in a list: where
// there are more, only the size of what they make is kept, and a second walk writes it.
const mostEdits = 1024

// mostGrowth is how many bytes more than it has a text may get by edits, for each of its own: [0,0]
// becomes [false,false]. A number such as 1e4000 can ask for more.
const mostGrowth = 2

// revision is what is to be changed in a text.
type revision struct {
	edits  []edit
	more   bool // than are kept
	growth int

	out []byte // of the second walk, which writes; nil in the first
	at  int    // what was written until
}

func (r *revision) change(raw []byte, e edit) {
	if r.out != nil {
		r.out = append(append(r.out, raw[r.at:e.Start]...), e.text...)
		r.at = e.End
		return
	}
	r.growth += len(e.text) - (e.End - e.Start)
	if len(r.edits) < mostEdits {
		r.edits = append(r.edits, e)
	} else {
		r.more = true
	}
}

// apply returns raw with all edits made: raw itself when there are none, else one new text of the
// right size.
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
