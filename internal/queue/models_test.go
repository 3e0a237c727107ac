package queue

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/coggo/coggo/internal/prediction"
)

// knowing returns a queue that has heard of models, in this order, a second apart. A name with !
// has a worker.
func knowing(own string, names ...string) *Queue {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	q := &Queue{config: Config{Name: own}, directory: newDirectory(func() time.Time { return now }), open: make(chan struct{})}
	close(q.open)
	for n, name := range names {
		served := name[0] == '!'
		if served {
			name = name[1:]
		}
		model, _ := json.Marshal(modelEntry{
			Name: name, Since: now.Add(time.Duration(n-len(names)) * time.Second),
			OpenAPI: json.RawMessage(`{"components":{"schemas":{"Input":{"type":"object","properties":{}}}}}`),
		})
		q.directory.hear(directoryPrefix+token(name)+"."+modelKey, nil, model)
		if served {
			worker, _ := json.Marshal(workerEntry{Name: name, Worker: "w", Slots: 1, At: now})
			q.directory.hear(directoryPrefix+token(name)+"."+workerPrefix+"w", nil, worker)
		}
	}
	return q
}

func TestANameAndAVersionChooseAModel(t *testing.T) {
	long := "acme/a-name-that-is-longer-than-a-token-of-a-subject-may-be." + strings.Repeat("x", maxToken)
	for _, c := range []struct {
		own           string
		there         []string
		name, version string
		want          string // a model, or the code of the refusal
	}{
		{"", nil, "", "", "not_ready"},
		{"", nil, "a/b", "", "not_ready"},
		{"", []string{"a/b"}, "", "", "a/b"},
		{"", []string{"a/b", "a/c"}, "", "", "not_found"},
		{"", []string{"a/b:1", "a/b:2"}, "", "", "a/b:2"},
		{"", []string{"a/b:2", "a/b:10", "a/b:1"}, "a/b", "", "a/b:1"},
		{"", []string{"a/b:1", "!a/b:2", "a/b:3"}, "a/b", "", "a/b:2"},
		{"", []string{"!a/b:1", "!a/b:2", "a/b:3"}, "a/b", "", "a/b:2"},
		{"", []string{"a/b", "!a/b:2"}, "a/b", "", "a/b"},
		{"", []string{"a/b", "a/b:2"}, "a/b:2", "", "a/b:2"},
		{"", []string{"a/b", "a/b:2"}, "a/b", "2", "a/b:2"},
		{"", []string{"a/b", "a/b:2"}, "a/b:2", "2", "a/b:2"},
		{"", []string{"a/b:1", "a/b:2"}, "a/b:1", "2", "not_found"},
		{"", []string{"a/b:1", "a/c:2"}, "", "2", "a/c:2"},
		{"", []string{"a/b:2", "a/c:2"}, "", "2", "not_found"},
		{"a/b", []string{"a/b:2", "a/c:2"}, "", "2", "not_found"},
		{"", []string{"a/b:2", "a/c:2"}, "", "a/c:2", "a/c:2"},
		{"", []string{"a/b:2", "a/c:2"}, "", "a/c", "a/c:2"},
		{"", []string{"a/b:2", "a/c:2"}, "a/b", "a/c:2", "not_found"},
		{"", []string{"a/b:2"}, "a/b", "a/b:2", "a/b:2"},
		{"", []string{"a/bc"}, "a/b", "", "not_found"},
		{"a/b", []string{"a/c"}, "a/b", "", "not_ready"},
		{"", []string{"a/b"}, "a/*", "", "not_found"},
		{"", []string{"a/b"}, "a/b:", "", "not_found"},
		{"", []string{"a.b/c.d:1.0"}, "a.b/c.d", "1.0", "a.b/c.d:1.0"},
		{"", []string{long, "a/b"}, long, "", long},
	} {
		m, err := knowing(c.own, c.there...).Model(c.name, c.version)
		got := m.Name
		if refused, ok := errors.AsType[*prediction.Error](err); ok {
			got = string(refused.Code)
		}
		if got != c.want {
			t.Errorf("of %v, %q and %q choose %q (%v), want %q", c.there, c.name, c.version, got, err, c.want)
		}
	}
}

func TestAModelIsForgottenByAnEmptyMessage(t *testing.T) {
	q := knowing("", "a/b", "a/c")
	q.directory.hear(directoryPrefix+token("a/b")+"."+modelKey, nil, nil)
	if names := q.directory.names(); len(names) != 1 || names[0] != "a/c" {
		t.Errorf("it knows %v", names)
	}
	if name := q.directory.nameOf(token("a/b")); name != "a/b" {
		t.Errorf("what is left of it has the name %q", name)
	}
}

func TestMessagesNameABoundedNumberOfModels(t *testing.T) {
	var names []string
	for n := range 30 {
		names = append(names, "a/m"+string(rune('A'+n)))
	}
	_, err := knowing("", names...).Model("", "")
	if text := err.Error(); len(text) > 300 {
		t.Errorf("%d bytes: %s", len(text), text)
	}
}

func BenchmarkChoose(b *testing.B) {
	var many []string
	for n := range 200 {
		many = append(many, "!acme/m"+time.Duration(n).String())
	}
	for name, c := range map[string]struct {
		q    *Queue
		name string
	}{
		"only":  {knowing("", "!acme/hello"), ""},
		"named": {knowing("", many...), "acme/m7ns"},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := c.q.choose(c.name, ""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
