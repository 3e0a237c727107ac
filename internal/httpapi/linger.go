package httpapi

import (
	"io"
	"net/http"
	"time"
)

// lingerTime bounds the wait for the rest of a refused body.
const lingerTime = 10 * time.Second

// linger sends the answer, and discards the rest of a body. Without it, a client that sends
// everything before it reads would see a broken connection instead of the answer.
func linger(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(lingerTime)) // not supported: no limit then
	if control.Flush() == nil && r.Header.Get("Expect") == "" {
		_, _ = io.Copy(io.Discard, r.Body) // the client may have gone
	}
}
