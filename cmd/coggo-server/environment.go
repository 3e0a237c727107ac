package main

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// secrets are variables of the server that no model gets to see.
var secrets = []string{"WEBHOOK_AUTH_TOKEN", "COGGO_AUTH_TOKEN", "COGGO_WEBHOOK_SECRET"}

// needed are the variables that a Python process with a GPU needs to work at all; --runner-env adds to them.
var needed = []string{
	"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG", "LC_*", "LD_LIBRARY_PATH", "PYTHON*", "COG_WEIGHTS", "CUDA_*", "NVIDIA_*",
}

// modelEnv is what the model sees of the server's environment: all of it but the secrets, or with allowed, the entries of
// --runner-env, no more than what they name.
func modelEnv(env, allowed []string) []string {
	patterns := append(slices.Clone(needed), allowed...)
	out := slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(secrets, name) || allowed != nil && !matchesAny(patterns, name)
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

// checkRunnerEnv refuses entries of --runner-env that mean nothing, or a secret.
func checkRunnerEnv(allowed []string) error {
	for _, entry := range allowed {
		name, _, _ := strings.Cut(entry, "=")
		if _, err := path.Match(name, ""); err != nil || name == "" {
			return fmt.Errorf("--runner-env %q: write NAME, a pattern such as HF_*, or NAME=VALUE", entry)
		}
		if slices.Contains(secrets, name) {
			return fmt.Errorf("--runner-env %s: the server keeps this one to itself", name)
		}
	}
	return nil
}
