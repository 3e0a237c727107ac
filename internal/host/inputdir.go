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

// openInputDir makes the private directory for the files of inputs. It lies where the model has its
// temporary files: models rename and link what they are given, and that works within one file
// system only. The directory goes with this server. Those of servers that were killed are removed
// here.
func openInputDir(c DirConfig) (*WorkingDir, error) {
	bases := inputBases(c)
	for _, base := range bases {
		sweepEphemeral(base, inputsPrefix)
	}
	d, err := makeEphemeral(bases, inputsPrefix)
	if err != nil {
		return nil, fmt.Errorf("make a directory for input files: %w; let TMPDIR name one that can be written", err)
	}
	return d, nil
}

// inputBases returns the places for the files of inputs, the best first. The places for messages
// come last, for a machine where no temporary directory can be written.
func inputBases(c DirConfig) []string {
	bases := []string{c.ModelTemp, defaultTemp}
	if c.Given != "" {
		bases = append(bases, c.Given)
	}
	return slices.Compact(append(bases, sharedMemory))
}

// defaultTemp is the temporary directory of Go and Python if TMPDIR is not set.
const defaultTemp = "/tmp"

// ModelTemp is the temporary directory of the model in modelDir, which --runner-env may have
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
