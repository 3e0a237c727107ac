package telemetry

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// target is a collector that takes traces by OTLP over HTTP. The SDK has a client for it, but that
// links gRPC, whose initialization costs every server 2 MiB of memory, even one without traces.
type target struct {
	client  *http.Client
	url     string
	header  http.Header
	timeout time.Duration
	gzip    bool
}

// targetFromEnv returns nil if the environment names no endpoint.
func targetFromEnv(client *http.Client) (*target, error) {
	endpoint, err := endpointFromEnv()
	if endpoint == "" || err != nil || off() {
		return nil, err
	}
	t := &target{
		client: client, url: endpoint, header: http.Header{}, timeout: 10 * time.Second,
		gzip: signalEnv("COMPRESSION") == "gzip",
	}
	t.header.Set("Content-Type", "application/x-protobuf")
	for pair := range strings.SplitSeq(signalEnv("HEADERS"), ",") {
		name, value, found := strings.Cut(pair, "=")
		if !found {
			continue
		}
		if plain, err := url.PathUnescape(strings.TrimSpace(value)); err == nil {
			t.header.Set(strings.TrimSpace(name), plain)
		}
	}
	if ms, err := strconv.Atoi(signalEnv("TIMEOUT")); err == nil && ms > 0 {
		t.timeout = time.Duration(ms) * time.Millisecond
	}
	return t, nil
}

// endpointFromEnv follows the specification: the variable for traces has the whole address; the one
// for all signals lacks the path.
func endpointFromEnv() (string, error) {
	const forTraces, forAll = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
	name, text, path := forTraces, os.Getenv(forTraces), ""
	if text == "" {
		name, text, path = forAll, os.Getenv(forAll), "v1/traces"
	}
	if text == "" {
		return "", nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("%s must be an http or https URL", name) // the value may hold a key
	}
	return u.JoinPath(path).String(), nil
}

// Start implements the exporter's interface.
func (t *target) Start(context.Context) error { return nil }

// Stop implements the exporter's interface.
func (t *target) Stop(context.Context) error { return nil }

// UploadTraces sends one batch. It retries until the timeout.
func (t *target) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	// On the wire, TracesData is the same as ExportTraceServiceRequest.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return err
	}
	if t.gzip {
		body = compressed(body)
	}
	post := func() (struct{}, error) { return struct{}{}, t.post(ctx, body) }
	_, err = backoff.Retry(ctx, post, backoff.WithMaxTries(5))
	return err
}

func compressed(body []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(body) // a Buffer never fails
	_ = w.Close()
	return out.Bytes()
}

func (t *target) post(ctx context.Context, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		return backoff.Permanent(err)
	}
	r.Header = t.header.Clone()
	if t.gzip {
		r.Header.Set("Content-Encoding", "gzip")
	}
	response, err := t.client.Do(r)
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		// Without the whole address, which may hold a key.
		return fmt.Errorf("%s: %w", r.URL.Host, wrapped.Err)
	}
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, 1<<16) // the contents do not matter
	switch {
	case response.StatusCode < 300:
		return nil
	case response.StatusCode == http.StatusTooManyRequests,
		response.StatusCode >= 502 && response.StatusCode <= 504:
		return fmt.Errorf("%s answered %d", r.URL.Host, response.StatusCode)
	default:
		return backoff.Permanent(fmt.Errorf("%s answered %d", r.URL.Host, response.StatusCode))
	}
}
