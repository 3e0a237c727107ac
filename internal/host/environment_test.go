package host

import (
	"slices"
	"strings"
	"testing"
)

func TestModelEnv(t *testing.T) {
	env := []string{
		"PATH=/bin", "PYTHONPATH=/p", "HF_TOKEN=h", "OTHER=o", "COGGO_AUTH_TOKEN=s",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://me:hush@collector:4318",
		"OTEL_EXPORTER_OTLP_TRACES_HEADERS=key=s",
	}
	plain := "OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318"
	tests := []struct {
		name    string
		allowed []string
		want    []string
	}{
		{"all but secrets", nil, []string{"PATH=/bin", "PYTHONPATH=/p", "HF_TOKEN=h", "OTHER=o", plain}},
		{"what Python needs", []string{}, []string{"PATH=/bin", "PYTHONPATH=/p"}},
		{"a pattern", []string{"HF_*"}, []string{"PATH=/bin", "PYTHONPATH=/p", "HF_TOKEN=h"}},
		{"a value", []string{"NEW=n"}, []string{"PATH=/bin", "PYTHONPATH=/p", "NEW=n"}},
		{"never a secret", []string{"COGGO_*"}, []string{"PATH=/bin", "PYTHONPATH=/p"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := ModelEnv(env, test.allowed); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestCheckRunnerEnvNamesTheEntryAndTheFix(t *testing.T) {
	for entry, want := range map[string]string{
		"":                   "write NAME, a pattern such as HF_*, or NAME=VALUE",
		"=x":                 "write NAME",
		"HF_[":               `"HF_["`,
		"COGGO_AUTH_TOKEN":   "COGGO_AUTH_TOKEN: the server keeps this one to itself",
		"COG_UPLOAD_URL=a:b": "the server keeps this one to itself",
	} {
		err := CheckRunnerEnv([]string{"OK", entry})
		if err == nil || !strings.HasPrefix(err.Error(), "--runner-env ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", entry, err, want)
		}
	}
	if err := CheckRunnerEnv([]string{"HF_*", "A", "B=1"}); err != nil {
		t.Error(err)
	}
}
