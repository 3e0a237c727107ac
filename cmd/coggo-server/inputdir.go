package main

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
func openInputDir(c Config) (*workingDir, error) {
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

// inputBases are the places for the files of inputs, the best first. Where no temporary directory
// can be written, those for messages are better than nothing.
func inputBases(c Config) []string {
	bases := []string{modelTemp(c.Model), defaultTemp}
	if c.WorkingDir != "" {
		bases = append(bases, c.WorkingDir)
	}
	return slices.Compact(append(bases, sharedMemory))
}

// defaultTemp is what Go and Python take for the temporary directory when nothing else is said.
const defaultTemp = "/tmp"

// modelTemp is the temporary directory of the model, which --runner-env may have changed.
func modelTemp(m Model) string {
	path := ""
	for _, entry := range modelEnv(os.Environ(), m.RunnerEnv) {
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
		return filepath.Join(m.ModelDir, path)
	}
}
