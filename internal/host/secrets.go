package host

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"unicode"
)

// secret is a setting of the server that models must not see, whether it was given as a variable or
// as a flag.
type secret struct {
	variable string // a name, or a pattern of names
	flag     string // "" if there is none
	address  bool   // it is a secret only if it is an address with a user or a query
}

// secrets lists all of them. HTTP_PROXY and the like are not among them, because the model reaches
// the network by the same proxy.
var secrets = []secret{
	{variable: "COGGO_AUTH_TOKEN"},
	{variable: "WEBHOOK_AUTH_TOKEN"},
	{variable: "COGGO_WEBHOOK_SECRET", flag: "--webhook-secret"},
	{variable: "COGGO_QUEUE", flag: "--queue"},
	{variable: "COGGO_QUEUE_CREDS", flag: "--queue-creds"},
	{variable: "COG_UPLOAD_URL", flag: "--upload-url"},
	{variable: "OTEL_EXPORTER_OTLP_HEADERS"},
	{variable: "OTEL_EXPORTER_OTLP_*_HEADERS"},
	{variable: "OTEL_EXPORTER_OTLP_ENDPOINT", address: true},
	{variable: "OTEL_EXPORTER_OTLP_*_ENDPOINT", address: true},
}

// ReadSecret strips the white space off the ends of a secret: files and manifests often add a line
// break. It refuses a blank secret, because an empty one would mean that none is set, and one with
// a control character, because a header can't carry it.
func ReadSecret(source, text string) (string, error) {
	secret := strings.TrimSpace(text)
	switch {
	case secret == "" && text != "":
		return "", fmt.Errorf("%s is blank", source)
	case strings.ContainsFunc(secret, unicode.IsControl):
		return "", fmt.Errorf("%s has a line break or another control character within", source)
	}
	return secret, nil
}

// isSecret reports whether a variable of the environment is one of the secrets.
func isSecret(name, value string) bool {
	return slices.ContainsFunc(secrets, func(s secret) bool {
		named, _ := path.Match(s.variable, name)
		return named && (!s.address || authorizes(value))
	})
}

// authorizes reports whether an address may contain credentials: a user or a query.
func authorizes(address string) bool {
	u, err := url.Parse(address)
	return err != nil || u.User != nil || u.RawQuery != ""
}

// isSecretFlag reports whether the value of a flag is one of the secrets.
func isSecretFlag(name string) bool {
	return name != "" && slices.ContainsFunc(secrets, func(s secret) bool { return s.flag == name })
}

// HideSecrets overwrites data of this process that the model must not see in /proc: the secrets
// and, with --runner-env, every variable that it does not name. token is a secret from another
// source, such as a file. HideSecrets returns an error only if there are secrets to hide.
func HideSecrets(token string, runnerEnv []string) error {
	withheld := func(entry string) bool { return withheld(entry, runnerEnv) }
	onLine := func(text string) bool {
		name, _, _ := strings.Cut(text, "=")
		return isSecretFlag(name)
	}
	inEnvironment := func(entry string) bool {
		name, value, _ := strings.Cut(entry, "=")
		return isSecret(name, value)
	}
	known := token != "" || slices.ContainsFunc(os.Args, onLine) ||
		slices.ContainsFunc(os.Environ(), inEnvironment)
	if !known && !slices.ContainsFunc(os.Environ(), withheld) {
		return nil
	}
	if err := blankProcess(withheld); err != nil && known {
		return err
	}
	return nil
}

// blankEnvironment overwrites the values of entries that are withheld, in a region of memory as the
// kernel fills it at the start of a process: strings that end in NUL. It reports whether it has
// found any.
func blankEnvironment(region []byte, withheld func(entry string) bool) (found bool) {
	for text := range cStrings(region) {
		if _, value, ok := bytes.Cut(text, []byte("=")); ok && withheld(string(text)) {
			found = wipe(value)
		}
	}
	return found
}

// blankArguments does the same for the values of secret flags on the command line.
func blankArguments(region []byte) (found bool) {
	next := false
	for text := range cStrings(region) {
		name, value, joined := bytes.Cut(text, []byte("="))
		switch {
		case next:
			found, next = wipe(text), false
		case isSecretFlag(string(name)) && joined:
			found = wipe(value)
		case isSecretFlag(string(name)):
			next = true
		}
	}
	return found
}

// cStrings yields the NUL-terminated strings of a region. A write to them writes to the region.
func cStrings(region []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(region) > 0 {
			text, rest, _ := bytes.Cut(region, []byte{0})
			if !yield(text) {
				return
			}
			region = rest
		}
	}
}

func wipe(b []byte) bool {
	for i := range b {
		b[i] = '*'
	}
	return true
}
