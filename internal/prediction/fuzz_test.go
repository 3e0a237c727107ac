package prediction_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/coggo/coggo/internal/prediction"
)

// FuzzParseRequest checks for any body: it does not panic, each refusal has one of two codes and a
// reason, and the request contains nothing unchecked.
func FuzzParseRequest(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `null`, `[]`, `{"input": {"a": [1, 2.5, null]}}`, `{"id": "x", "id": "y"}`, `{"id": "\ud800"}`, `{"id": "\u0000"}`,
		`{"webhook": "https://example.com/a?b#c", "webhook_events_filter": ["start", "completed"]}`, `{"webhook": "http://[::1"}`,
		`{"context": {"a": "b", "c": null}}`, `{"created_at": "2026-01-02T03:04:05Z"}`, `{"output_file_prefix": "http://x/"}`,
		`{"input": null, "id": null, "webhook": null}`, `{"a":` + strings.Repeat("[", 200), "\xef\xbb\xbf{}", `{"input": {"a": "` + "\xff" + `"}}`, `{} {}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := string(body)
		r, err := prediction.ParseRequest(body)
		if string(body) != before {
			t.Fatal("the body was written to")
		}
		if err != nil {
			refused(t, err)
			return
		}
		if r.Input != nil && (!json.Valid(r.Input) || r.Input[0] != '{') {
			t.Fatalf("Input = %q", r.Input)
		}
		if len(r.ID) > prediction.MaxIDBytes || !utf8.ValidString(r.ID) {
			t.Fatalf("ID = %q", r.ID)
		}
		for _, url := range []string{r.Webhook, r.OutputPrefix} {
			if url != "" && !strings.HasPrefix(strings.ToLower(url), "http") || strings.ContainsAny(url, "\r\n\x00") {
				t.Fatalf("URL = %q", url)
			}
		}
		for _, event := range r.WebhookEvents {
			if !strings.Contains("start output logs completed", string(event)) {
				t.Fatalf("event %q", event)
			}
		}
	})
}

func refused(t *testing.T, err error) {
	t.Helper()
	var e *prediction.Error
	if !errors.As(err, &e) || e.Message == "" || e.Code != prediction.Malformed && e.Code != prediction.Invalid {
		t.Fatalf("refused with %#v", err)
	}
	if e.Code != prediction.Invalid {
		return
	}
	if len(e.Problems) == 0 {
		t.Fatal("invalid, without a problem")
	}
	for _, p := range e.Problems {
		if len(p.Loc) == 0 || p.Msg == "" || p.Type == "" {
			t.Fatalf("problem %+v", p)
		}
		if _, err := json.Marshal(p); err != nil {
			t.Fatal(err)
		}
	}
}

// FuzzSnapshot checks that a prediction with any strings is rendered as valid JSON.
func FuzzSnapshot(f *testing.F) {
	f.Add("id", []byte(`{"a": 1}`), "log\xff\x00", "error \xed\xa0\x80")
	f.Add("\x00\n../..", []byte(`{}`), strings.Repeat("\r", 10), "")
	f.Add("a", []byte("{\"\xb7\": 0}"), "", "")
	f.Fuzz(func(t *testing.T, id string, input []byte, log, text string) {
		if _, err := prediction.ParseRequest(fmt.Appendf(nil, `{"input": %s}`, input)); err != nil || !json.Valid(input) || !utf8.ValidString(id) {
			return // refused before a prediction exists, such as invalid UTF-8
		}
		p := prediction.New(prediction.Request{ID: id, Input: input, MaskedInput: input}, prediction.Limits{LogBytes: 1 << 10, History: 4})
		p.Log("stdout", []byte(log))
		p.Finish(prediction.Result{Status: prediction.Failed, Error: text})
		shown := p.Final().AppendJSON(nil)
		if !json.Valid(shown) || !utf8.Valid(shown) {
			t.Fatalf("shown as %q", shown)
		}
		var back struct{ ID, Status string }
		if err := json.Unmarshal(shown, &back); err != nil || back.ID != id || back.Status != "failed" {
			t.Fatalf("%v, %+v of %q", err, back, id)
		}
	})
}
