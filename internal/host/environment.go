package host

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
)

// needed are the variables that a Python process with a GPU needs to work at all; --runner-env adds
// to them.
var needed = []string{
	"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG", "LC_*", "LD_LIBRARY_PATH", "PYTHON*", "COG_WEIGHTS", "CUDA_*", "NVIDIA_*",
}

// withheld reports whether the model does not get an entry of the server's environment: a secret,
// and with allowed, the entries of --runner-env, whatever they do not name.
func withheld(entry string, allowed []string) bool {
	name, value, _ := strings.Cut(entry, "=")
	return isSecret(name, value) || allowed != nil && !matchesAny(needed, name) && !matchesAny(allowed, name)
}

// ModelEnv is what the model sees of the server's environment: what is not withheld, and what
// --runner-env adds.
func ModelEnv(env, allowed []string) []string {
	out := slices.DeleteFunc(slices.Clone(env), func(entry string) bool { return withheld(entry, allowed) })
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

// CheckRunnerEnv refuses entries of --runner-env that mean nothing, or a secret.
func CheckRunnerEnv(allowed []string) error {
	for _, entry := range allowed {
		name, value, given := strings.Cut(entry, "=")
		if !given {
			value = os.Getenv(name)
		}
		if _, err := path.Match(name, ""); err != nil || name == "" {
			return fmt.Errorf("--runner-env %q: write NAME, a pattern such as HF_*, or NAME=VALUE", entry)
		}
		if isSecret(name, value) {
			return fmt.Errorf("--runner-env %s: the server keeps this one to itself", name)
		}
	}
	return nil
}
