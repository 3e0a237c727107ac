package httpapi

import (
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/coggo/coggo/internal/prediction"
)

// minCancelAfter is the shortest deadline that `Cancel-After` can set.
const minCancelAfter = 5 * time.Second

// readRequest reads the body and the headers of a create request. In a 422, loc is the field or the
// header.
func (a *API) readRequest(w http.ResponseWriter, r *http.Request) (prediction.Request, error) {
	body, err := a.readBody(w, r)
	if err != nil {
		return prediction.Request{}, err
	}
	if len(body) > 0 {
		if err := jsonOnly(r.Header); err != nil {
			return prediction.Request{}, err
		}
	}
	req, err := prediction.ParseRequest(body)
	if err != nil {
		return req, err
	}
	req.TraceParent = r.Header.Get("Traceparent")
	req.TraceState = r.Header.Get("Tracestate")
	req.CancelAfter, err = cancelAfter(r.Header.Get("Cancel-After"))
	return req, err
}

func (a *API) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > a.MaxBody {
		return nil, a.tooLarge()
	}
	limited := a.patiently(w, http.MaxBytesReader(w, r.Body, a.MaxBody))
	var body []byte
	var err error
	if n := r.ContentLength; n >= 0 {
		body, err = readSized(limited, int(n))
	} else {
		body, err = io.ReadAll(limited)
	}
	if errors.As(err, new(*http.MaxBytesError)) {
		return nil, a.tooLarge()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if r.ProtoMajor == 1 {
			// Without it, net/http would wait for the rest before it answers.
			w.Header().Set("Connection", "close")
		}
		return nil, &httpError{
			http.StatusRequestTimeout,
			fmt.Sprintf("nothing more of the body came for %s, see --body-timeout", a.BodyTimeout),
		}
	}
	if err != nil {
		return nil, prediction.Refuse(prediction.Malformed, "the body ended early: "+err.Error())
	}
	return body, nil
}

// readSized reads n bytes. It allocates memory in steps, each once the bytes before it have come,
// because a client can announce any length for free, and HTTP/2 on many streams at once.
func readSized(r io.Reader, n int) ([]byte, error) {
	var body []byte
	for _, size := range [...]int{32 << 10, 1 << 20, n} {
		size = min(size, n)
		grown := make([]byte, size)
		got := copy(grown, body)
		body = grown
		if _, err := io.ReadFull(r, body[got:]); err != nil || size == n {
			return body, err
		}
	}
	return body, nil
}

// patientReader gives up on a body if nothing comes for a while. A slow body may take its time.
type patientReader struct {
	io.Reader
	control *http.ResponseController
	limit   time.Duration
}

func (a *API) patiently(w http.ResponseWriter, body io.Reader) io.Reader {
	return &patientReader{body, http.NewResponseController(w), a.BodyTimeout}
}

func (p *patientReader) Read(b []byte) (int, error) {
	// Not supported: no limit then. net/http sets its own deadline for later reads.
	_ = p.control.SetReadDeadline(time.Now().Add(p.limit))
	return p.Reader.Read(b)
}

func (a *API) tooLarge() error {
	text := fmt.Sprintf("the body is larger than %d bytes, see --max-body; send large files by URL",
		a.MaxBody)
	return prediction.Refuse(prediction.TooLarge, text)
}

func jsonOnly(h http.Header) error {
	if coding := h.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return &httpError{
			http.StatusUnsupportedMediaType,
			fmt.Sprintf("send the body as it is: Content-Encoding %q is not supported", coding),
		}
	}
	contentType := h.Get("Content-Type")
	if contentType == "" {
		return nil
	}
	media, _, err := mime.ParseMediaType(contentType)
	if err == nil && (media == "application/json" || strings.HasSuffix(media, "+json")) {
		return nil
	}
	return &httpError{
		http.StatusUnsupportedMediaType,
		fmt.Sprintf("Content-Type must be application/json, not %q", contentType),
	}
}

// cancelAfter reads "30s", "5m" or bare seconds.
func cancelAfter(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if seconds, bad := strconv.ParseFloat(text, 64); bad == nil {
		d, err = inSeconds(seconds), nil
	}
	if err != nil || d < minCancelAfter {
		text := fmt.Sprintf("must be a time of at least %s, such as 30s, 5m or 90", minCancelAfter)
		return 0, prediction.InvalidRequest(prediction.Problem{
			Loc: []any{"header", "Cancel-After"}, Type: "value_error", Msg: text,
		})
	}
	return d, nil
}

// inSeconds returns 0 if a Duration can't hold the seconds.
func inSeconds(seconds float64) time.Duration {
	if d := seconds * float64(time.Second); d >= 0 && d < math.MaxInt64 {
		return time.Duration(d)
	}
	return 0
}

// wantsStream reports whether the client asks for server-sent events.
func wantsStream(h http.Header) bool {
	for _, line := range h.Values("Accept") {
		for item := range strings.SplitSeq(line, ",") {
			media, parameters, _ := strings.Cut(item, ";")
			if strings.EqualFold(strings.TrimSpace(media), "text/event-stream") {
				return !unwanted(parameters)
			}
		}
	}
	return false
}

// unwanted reports whether the parameters of a media type have q=0, which excludes it.
func unwanted(parameters string) bool {
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			weight, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return err == nil && weight == 0
		}
	}
	return false
}
