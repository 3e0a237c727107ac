package httpapi

import (
	"context"
	"time"
)

// hangUpLook is how often leaving asks the kernel whether the client has hung up.
const hangUpLook = time.Second

// leaving returns a context that is done when the context of a request is, and when the client
// hangs up. net/http notices a hang-up only until a byte comes from the client: it waits for one
// byte, such as the beginning of the next request or a line break, and then for no other. The
// kernel knows that the client has closed its end even if unread bytes come before that.
func leaving(ctx context.Context) context.Context {
	c, ok := ctx.Value(connKey{}).(*conn)
	if !ok || c.frames != nil { // net/http reads all frames of HTTP/2
		return ctx
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return ctx
	}
	left, leave := context.WithCancel(ctx)
	go func() { // ends with the request
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
