package httpapi

import (
	"io"
	"net/http"
	"time"
)

// lingerTime bounds how long the rest of a refused body is awaited.
const lingerTime = 10 * time.Second

// linger sends the answer and throws away the rest of a body that nobody wants. A client that sends
// everything before it reads would see a broken connection instead of the answer.
func linger(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(lingerTime)) // not supported: then there is no limit
	if control.Flush() == nil && r.Header.Get("Expect") == "" {
		_, _ = io.Copy(io.Discard, r.Body) // the client may have gone
	}
}
