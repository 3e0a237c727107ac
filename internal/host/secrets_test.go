package host

import (
	"strings"
	"testing"
)

func TestReadSecret(t *testing.T) {
	for text, want := range map[string]string{"": "", "abc": "abc", " abc\n": "abc", "a b": "a b"} {
		if got, err := ReadSecret("$T", text); got != want || err != nil {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{" \n": "$T is blank", "a\nb": "$T has a line break"} {
		if _, err := ReadSecret("$T", text); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestBlankEnvironmentWipesTheValuesOfSecretsOnly(t *testing.T) {
	region := []byte("PATH=/bin\x00COGGO_AUTH_TOKEN=abc\x00NOVALUE\x00WEBHOOK_AUTH_TOKEN=de")
	found := blankEnvironment(region, func(entry string) bool { return withheld(entry, nil) })
	want := "PATH=/bin\x00COGGO_AUTH_TOKEN=***\x00NOVALUE\x00WEBHOOK_AUTH_TOKEN=**"
	if string(region) != want || !found {
		t.Errorf("got %q, %v, want %q", region, found, want)
	}
}

func TestBlankArgumentsWipesBothFormsOfAFlag(t *testing.T) {
	region := []byte("coggo-server\x00--webhook-secret\x00whsec\x00--upload-url=http://u\x00--port\x005000")
	want := "coggo-server\x00--webhook-secret\x00*****\x00--upload-url=********\x00--port\x005000"
	if found := blankArguments(region); string(region) != want || !found {
		t.Errorf("got %q, %v, want %q", region, found, want)
	}
	if blankArguments([]byte("coggo-server\x00--port\x005000")) {
		t.Error("found a secret where there is none")
	}
}
