package outbound

import (
	"errors"
	"net/http"

	"github.com/coggo/coggo/internal/weburl"
)

// errLocation does not repeat the address, because it may hold a secret.
var errLocation = errors.New("redirected to something that is not a URL")

// locator makes the Location of every answer an absolute, valid URL. Servers send anything there.
// net/http gives up at a percent sign that does not begin an escape, and sends a space unescaped.
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
		response.Header.Del("Location") // an upload: nobody could download the file from there
	}
	return response, nil
}
