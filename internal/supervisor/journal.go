package supervisor

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/spool"
)

// readEntry reads an entry, or a request that was turned into one (spool.Journal.Take). The parts
// that can be large are slices of data, and are not parsed.
func readEntry(data []byte) (n prediction.Entry, request spool.Request, err error) {
	large := n.Raw()
	large["server"] = &request.Server
	if err := prediction.Decode(data, &n, large); err != nil || request.Server == nil {
		return n, request, err
	}
	large = map[string]*json.RawMessage{"input": &request.Input, "server": &request.Server}
	if err := prediction.Decode(data, &request, large); err != nil {
		return n, request, err
	}
	n, err = entryIn(request)
	return n, request, err
}

// entryIn returns the entry that a request file contains for a later server.
func entryIn(request spool.Request) (n prediction.Entry, err error) {
	if err := prediction.Decode(request.Server, &n, n.Raw()); err != nil {
		return n, fmt.Errorf("request %s has no journal entry: %w", request.ID, err)
	}
	n.ID, n.Method = request.ID, prediction.Method(request.Method)
	n.Context, n.CreatedAt = request.Context, request.CreatedAt
	if n.Input == nil {
		n.Input = request.Input
	}
	return n, nil
}

// requestEntry returns the entry for a request file. It leaves out the members that the request has
// for the runner: see entryIn.
func requestEntry(f *flight) json.RawMessage {
	n := prediction.NewEntry(f.prediction.Request, f.run)
	n.ID, n.Method, n.Context, n.CreatedAt = "", "", nil, ""
	n.Unknown = f.checked.Unknown
	if n.MaskedInput == nil && bytes.Equal(n.Input, f.checked.Input) {
		n.Input = nil
	}
	return n.Encode().Bytes()
}
