package outbound

import (
	"errors"
	"net/http"

	"github.com/coggo/coggo/internal/weburl"
)

// errLocation does not repeat the address, because that may hold a secret.
var errLocation = errors.New("redirected to something that is not a URL")

// locator makes the Location of every answer an absolute URL that can be sent. Servers put there
// what they please, and net/http gives up at a percent sign that begins no escape, and sends a
// space as it is.
type locator struct{ *http.Transport }

// RoundTrip sends one request.
func (l locator) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := l.Transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	location := response.Header.Get("Location")
	if location == "" {
		return response, nil
	}
	to, err := weburl.Resolve(r.URL, location)
	switch {
	case err == nil:
		response.Header.Set("Location", to.String())
	case response.StatusCode/100 == 3:
		_ = response.Body.Close()
		return nil, errLocation
	default:
		response.Header.Del("Location") // of an upload: nobody could ask for the file there
	}
	return response, nil
}
