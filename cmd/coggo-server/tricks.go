package main

import (
	"os"
	"slices"
	"strings"

	"github.com/coggo/coggo/internal/host"
)

// The tricks that --without switches off. Each one relies on behavior that Go, Linux or CPython do
// not document. Its file says on which, and what it buys.
const (
	trickBallast    = "ballast"    // internal/host/ballast.go
	trickUnmap      = "unmap"      // internal/host/unmap_linux.go
	trickDisconnect = "disconnect" // internal/unsafenet
	trickSigmute    = "sigmute"    // internal/sigmute
	trickPristine   = "pristine"   // python/cog/internal/pristine.py
)

// withoutVariable tells the runner which tricks are off.
const withoutVariable = "COGGO_WITHOUT"

// without reports whether a trick is off.
func (c Serving) without(trick string) bool { return slices.Contains(c.Without, trick) }

// modelEnv returns the environment of the model.
func (c Config) modelEnv() []string {
	env := c.Account.Environment(host.ModelEnv(os.Environ(), c.RunnerEnv))
	if len(c.Without) > 0 {
		env = append(env, withoutVariable+"="+strings.Join(c.Without, ","))
	}
	return env
}

// dirConfig returns the configuration of the working directory.
func (c Config) dirConfig() host.DirConfig {
	return host.DirConfig{
		Given: c.WorkingDir, Ephemeral: c.Ephemeral || c.Queue != "", ModelDir: c.ModelDir, Port: c.port(),
		ModelTemp: host.ModelTemp(c.ModelDir, c.RunnerEnv),
	}
}
