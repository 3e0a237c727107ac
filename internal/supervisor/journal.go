package supervisor

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/spool"
)

// readEntry reads a note, or a request that was made one (spool.Journal.Take). What can be large is
// taken unread, as a part of data.
func readEntry(data []byte) (n prediction.Entry, request spool.Request, err error) {
	large := n.Raw()
	large["server"] = &request.Server
	if err := prediction.Decode(data, &n, large); err != nil || request.Server == nil {
		return n, request, err
	}
	if err := prediction.Decode(data, &request, map[string]*json.RawMessage{"input": &request.Input, "server": &request.Server}); err != nil {
		return n, request, err
	}
	n, err = entryIn(request)
	return n, request, err
}

// entryIn is what a request file says to a later server.
func entryIn(request spool.Request) (n prediction.Entry, err error) {
	if err := prediction.Decode(request.Server, &n, n.Raw()); err != nil {
		return n, fmt.Errorf("request %s has no notes: %w", request.ID, err)
	}
	n.ID, n.Method, n.Context, n.CreatedAt = request.ID, prediction.Method(request.Method), request.Context, request.CreatedAt
	if n.Input == nil {
		n.Input = request.Input
	}
	return n, nil
}

// requestEntry is what the request file says to a later server, without what it says to the runner
// in the same bytes: see entryIn.
func requestEntry(f *flight) json.RawMessage {
	n := prediction.NewEntry(f.prediction.Request, f.run)
	n.ID, n.Method, n.Context, n.CreatedAt = "", "", nil, ""
	n.Unknown = f.checked.Unknown
	if n.Echo == nil && bytes.Equal(n.Input, f.checked.Input) {
		n.Input = nil
	}
	return n.Encode()
}
