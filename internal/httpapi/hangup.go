package httpapi

import (
	"context"
	"time"
)

// hangUpLook is how often it is looked whether a client has hung up.
const hangUpLook = time.Second

// leaving returns a context that is done with that of a request, and when its client hangs up.
// net/http notices this alone while nothing comes from the client: it waits for one byte, and once
// it has one, the beginning of the next request or a line break, it waits for no other. The kernel
// knows that the client has closed its end, whatever lies before that unread.
func leaving(ctx context.Context) context.Context {
	c, ok := ctx.Value(connKey{}).(*conn)
	if !ok || c.frames != nil { // of HTTP/2 net/http reads whatever comes
		return ctx
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return ctx
	}
	left, leave := context.WithCancel(ctx)
	go func() { // until the request ends
		defer leave()
		look := time.NewTicker(hangUpLook)
		defer look.Stop()
		for !hungUp(raw) {
			select {
			case <-look.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return left
}
