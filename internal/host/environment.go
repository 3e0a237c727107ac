package host

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
)

// needed lists the variables without which a Python process with a GPU does not work; --runner-env
// adds to them.
var needed = []string{
	"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG", "LC_*", "LD_LIBRARY_PATH", "PYTHON*",
	"COG_WEIGHTS", "CUDA_*", "NVIDIA_*",
}

// withheld reports whether the model must not get an entry of the server's environment: a secret
// or, if allowed (the entries of --runner-env) is not nil, a variable that neither needed nor
// allowed names.
func withheld(entry string, allowed []string) bool {
	name, value, _ := strings.Cut(entry, "=")
	if isSecret(name, value) {
		return true
	}
	return allowed != nil && !matchesAny(needed, name) && !matchesAny(allowed, name)
}

// ModelEnv returns the environment of the model: env without the entries that are withheld, and the
// NAME=VALUE entries of --runner-env.
func ModelEnv(env, allowed []string) []string {
	out := slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		return withheld(entry, allowed)
	})
	for _, entry := range allowed {
		if strings.Contains(entry, "=") {
			out = append(out, entry)
		}
	}
	return out
}

func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		found, _ := path.Match(pattern, name)
		return found
	})
}

// CheckRunnerEnv refuses entries of --runner-env that are malformed or name a secret.
func CheckRunnerEnv(allowed []string) error {
	for _, entry := range allowed {
		name, value, given := strings.Cut(entry, "=")
		if !given {
			value = os.Getenv(name)
		}
		if _, err := path.Match(name, ""); err != nil || name == "" {
			return fmt.Errorf(
				"--runner-env %q: write NAME, a pattern such as HF_*, or NAME=VALUE", entry)
		}
		if isSecret(name, value) {
			return fmt.Errorf("--runner-env %s: the server keeps this one to itself", name)
		}
	}
	return nil
}
