package host

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// inputsPrefix begins the names of directories for the files of inputs.
const inputsPrefix = "coggo-inputs-"

// openInputDir makes the private directory for input files. It is where the model has its temporary
// files, because models rename and link their input files, and that works within one file system
// only. The directory is removed with this server. openInputDir removes those of servers that were
// killed.
func openInputDir(c DirConfig) (*WorkingDir, error) {
	bases := inputBases(c)
	for _, base := range bases {
		sweepEphemeral(base, inputsPrefix)
	}
	d, err := makeEphemeral(bases, inputsPrefix)
	if err != nil {
		return nil, fmt.Errorf(
			"make a directory for input files: %w; let TMPDIR name one that can be written", err)
	}
	return d, nil
}

// inputBases returns the places for input files, the best first. The places for messages come last,
// for a machine without a writable temporary directory.
func inputBases(c DirConfig) []string {
	bases := []string{c.ModelTemp, defaultTemp}
	if c.Given != "" {
		bases = append(bases, c.Given)
	}
	return slices.Compact(append(bases, sharedMemory))
}

// defaultTemp is the temporary directory of Go and Python if TMPDIR is not set.
const defaultTemp = "/tmp"

// ModelTemp returns the temporary directory of the model in modelDir, which --runner-env may have
// changed.
func ModelTemp(modelDir string, runnerEnv []string) string {
	path := ""
	for _, entry := range ModelEnv(os.Environ(), runnerEnv) {
		if value, found := strings.CutPrefix(entry, "TMPDIR="); found {
			path = value
		}
	}
	switch {
	case path == "":
		return defaultTemp
	case filepath.IsAbs(path):
		return path
	default:
		return filepath.Join(modelDir, path)
	}
}
