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

// mostEdits bounds how many edits are kept, because one takes 30 times the memory of a number in a
// list. If there are more, only the size of the result is kept, and a second walk writes it.
const mostEdits = 1024

// mostGrowth bounds by how many bytes edits may lengthen a text, for each byte of it: [0,0] becomes
// [false,false]. A number such as 1e4000 can need more.
const mostGrowth = 2

// revision is the changes to a text.
type revision struct {
	edits  []edit
	more   bool // there are more edits than are kept
	growth int  // in bytes

	out []byte // the result of the second walk; nil in the first
	at  int    // out has the text up to here
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

// apply returns raw with all edits made: raw itself without edits, else a new text of the right
// size.
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
