package httpapi

import (
	"bytes"
	"fmt"
	"time"
)

// Errors of net/http itself, as JSON.
//
// This is a trick, because net/http offers no hook for the answers that it gives before it calls a
// handler:
//
//   - What it assumes: such an answer is one Write that starts with its status line (Go 1.26,
//     net/http/server.go). The state of the connection says that no handler is answering, so this
//     code never sees bytes that a client or a model wrote.
//   - If that is false: the answer goes out as net/http wrote it, in plain text, and
//     TestErrorsOfNetHTTPAreJSON fails.
//   - What it buys: every error is JSON, which clients rely on.
//   - It cannot be switched off: it is the documented form of errors, not a question of speed.

// ownError returns the status in p, an answer of net/http itself, if that is an error. The only
// other answer is 200 to OPTIONS *.
func ownError(p []byte) (status string, ok bool) {
	line, _, _ := bytes.Cut(p, []byte("\r\n"))
	text, ok := bytes.CutPrefix(line, []byte("HTTP/1.1 "))
	status = string(text)
	return status, ok && status >= "4"
}

// writeOwnError sends an error of net/http as JSON. It gives framing's reason if framing refused
// the request.
func (c *conn) writeOwnError(status string) error {
	detail := status
	if c.broken > 0 {
		detail = c.framing.refused.Error()
	}
	body := fmt.Sprintf(`{"detail":%q,"error":%[1]q}`, detail)
	if err := c.SetWriteDeadline(time.Now().Add(c.listener.StreamTimeout)); err != nil {
		return err
	}
	const answer = "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" +
		"Connection: close\r\n\r\n%s"
	_, err := fmt.Fprintf(c.TCPConn, answer, status, len(body), body)
	return err
}
