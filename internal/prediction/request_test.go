package prediction_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/coggo/coggo/internal/prediction"
)

func TestParseRequestAccepts(t *testing.T) {
	for _, row := range []struct {
		name, body string
		check      func(r prediction.Request) bool
	}{
		{"nothing", "", func(r prediction.Request) bool { return r.Input == nil && r.ID == "" }},
		{"white space", " \n", func(r prediction.Request) bool { return r.Input == nil }},
		{"an empty object", "{}", func(r prediction.Request) bool { return r.Input == nil }},
		{"null input", `{"input":null}`, func(r prediction.Request) bool { return r.Input == nil }},
		{"input as sent", `{"input": {"z": 1.0, "a": 1180591620717411303424 }}`, func(r prediction.Request) bool {
			return string(r.Input) == `{"z": 1.0, "a": 1180591620717411303424 }`
		}},
		{"unknown fields", `{"nonsense": [1, {"input": 3}]}`, func(r prediction.Request) bool { return r.Input == nil }},
		{"the last of duplicates", `{"id":"a","id":"b"}`, func(r prediction.Request) bool { return r.ID == "b" }},
		{"no filter", `{"webhook":"https://h/x"}`, func(r prediction.Request) bool {
			return r.WebhookEvents == nil && r.WantsWebhook(prediction.WebhookStart)
		}},
		{"an empty filter", `{"webhook":"https://h/x","webhook_events_filter":[]}`, func(r prediction.Request) bool {
			return r.WebhookEvents != nil && !r.WantsWebhook(prediction.WebhookCompleted)
		}},
		{"a filter", `{"webhook":"http://h:1/x","webhook_events_filter":["completed"]}`, func(r prediction.Request) bool {
			return r.WantsWebhook(prediction.WebhookCompleted) && !r.WantsWebhook(prediction.WebhookLogs)
		}},
		{"null fields", `{"id":null,"webhook":null,"webhook_events_filter":null,"context":null,"created_at":null,"output_file_prefix":null}`, func(r prediction.Request) bool {
			return r.WebhookEvents == nil && r.Webhook == ""
		}},
		{"context", `{"context":{"a":"b"}}`, func(r prediction.Request) bool { return r.Context["a"] == "b" }},
		{"created_at as text", `{"created_at":"2026-01-02T03:04:05+02:00"}`, func(r prediction.Request) bool { return r.CreatedAt == "2026-01-02T03:04:05+02:00" }},
		{"an odd id", `{"id":"../é\u0000"}`, func(r prediction.Request) bool { return r.ID == "../é\x00" }},
	} {
		t.Run(row.name, func(t *testing.T) {
			r, err := prediction.ParseRequest([]byte(row.body))
			if err != nil || !row.check(r) {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
}

func TestParseRequestRefuses(t *testing.T) {
	for _, row := range []struct {
		name, body string
		code       prediction.Code
		locs       string
	}{
		{"no JSON", "{", prediction.Malformed, ""},
		{"half a string", `{"id":"a`, prediction.Malformed, ""},
		{"two values", "{} {}", prediction.Malformed, ""},
		{"NaN", `{"input":{"x":NaN}}`, prediction.Malformed, ""},
		{"no UTF-8", "{\"id\":\"\xff\"}", prediction.Malformed, ""},
		{"great depth", strings.Repeat("[", 200000), prediction.Malformed, ""},
		{"a list", "[]", prediction.Invalid, "[body]"},
		{"a number", "3", prediction.Invalid, "[body]"},
		{"input of another type", `{"input":[]}`, prediction.Invalid, "[body input]"},
		{"a number as id", `{"id":3}`, prediction.Invalid, "[body id]"},
		{"a long id", `{"id":"` + strings.Repeat("x", 513) + `"}`, prediction.Invalid, "[body id]"},
		{"a webhook that is not a URL", `{"webhook":"ftp://x"}`, prediction.Invalid, "[body webhook]"},
		{"a webhook without host", `{"webhook":"http://"}`, prediction.Invalid, "[body webhook]"},
		{"an unknown event", `{"webhook_events_filter":["start","nope"]}`, prediction.Invalid, "[body webhook_events_filter 1]"},
		{"context values", `{"context":{"a":1}}`, prediction.Invalid, "[body context a]"},
		{"a null context value", `{"context":{"a":null}}`, prediction.Invalid, "[body context a]"},
		{"a time that is none", `{"created_at":"yesterday"}`, prediction.Invalid, "[body created_at]"},
		{"everything at once", `{"id":1,"webhook":2,"context":3}`, prediction.Invalid, "[body id][body webhook][body context]"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := prediction.ParseRequest([]byte(row.body))
			var e *prediction.Error
			if !errors.As(err, &e) || e.Code != row.code {
				t.Fatalf("err = %v, want code %s", err, row.code)
			}
			var locs strings.Builder
			for _, p := range e.Problems {
				fmt.Fprint(&locs, p.Loc)
			}
			if locs.String() != row.locs {
				t.Errorf("locs = %s, want %s", locs.String(), row.locs)
			}
		})
	}
}

func TestNewIDsAreLowercaseAndDistinct(t *testing.T) {
	a, b := prediction.NewID(), prediction.NewID()
	if len(a) != 26 || a != strings.ToLower(a) || a == b {
		t.Errorf("ids %q and %q", a, b)
	}
}

func TestParseRequestListsABoundedNumberOfProblems(t *testing.T) {
	many := strings.Repeat("1,", 100000) + "1"
	for name, body := range map[string]string{
		"events":  `{"webhook_events_filter":[` + many + `]}`,
		"context": `{"context":{` + manyMembers(100000) + `}}`,
	} {
		_, err := prediction.ParseRequest([]byte(body))
		var refused *prediction.Error
		if !errors.As(err, &refused) || refused.Code != prediction.Invalid {
			t.Fatalf("%s: got %v", name, err)
		}
		if n := len(refused.Problems); n == 0 || n > 100 {
			t.Errorf("%s: %d problems are listed", name, n)
		}
	}
}

func manyMembers(n int) string {
	members := make([]string, n)
	for i := range members {
		members[i] = fmt.Sprintf(`"k%d":1`, i)
	}
	return strings.Join(members, ",")
}

func TestRepeatedWebhookEventsCountOnce(t *testing.T) {
	r, err := prediction.ParseRequest([]byte(`{"webhook_events_filter":["logs","start","logs"]}`))
	if err != nil || fmt.Sprint(r.WebhookEvents) != "[logs start]" {
		t.Errorf("got %v, %v", r.WebhookEvents, err)
	}
}

func TestTheInputDoesNotKeepALargeBody(t *testing.T) {
	junk := strings.Repeat("x", 1<<20)
	r, err := prediction.ParseRequest([]byte(`{"input":{"a":1},"junk":"` + junk + `"}`))
	if err != nil || string(r.Input) != `{"a":1}` {
		t.Fatalf("got %s, %v", r.Input, err)
	}
	if cap(r.Input) > 64<<10 {
		t.Errorf("%d bytes are kept for the %d of the input", cap(r.Input), len(r.Input))
	}
}

func TestASealDependsOnValuesAndNotOnTheirSpelling(t *testing.T) {
	key := []byte("key")
	sealed := prediction.Request{Method: prediction.Predict, Input: json.RawMessage(`{"key": "hunter2", "n": 1}`)}
	sealed = prediction.Request{Method: sealed.Method, Input: json.RawMessage(`{"key": "**********", "n": 1}`), Sealed: sealed.Seal(key)}
	for input, same := range map[string]bool{
		`{"key": "hunter2", "n": 1}`: true, `{ "n":1,"key":"hunter\u0032" }`: true,
		`{"key": "hunter3", "n": 1}`: false, `{"key": "**********", "n": 1}`: false, `{"key": "hunter2", "n": 1.0}`: false, `{}`: false,
	} {
		r := prediction.Request{Method: prediction.Predict, Input: json.RawMessage(input)}
		if r.SameRun(sealed, key) != same || r.SameRun(sealed, []byte("other key")) {
			t.Errorf("%s: same is not %v", input, same)
		}
		if r.Method = prediction.Train; r.SameRun(sealed, key) {
			t.Errorf("%s: another method is the same run", input)
		}
	}
}
