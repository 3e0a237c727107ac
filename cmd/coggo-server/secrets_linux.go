package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// hideSecrets keeps the secrets of this process from others of the same user, and above all from the model: they go from what
// /proc shows as its environment and command line, and nobody may read its memory or trace it. The variables stay readable
// for the server itself, which has copies of them. value is a secret of the command line. A model that runs as root with
// every capability can read all the same, see docs/security.md.
func hideSecrets(value string) error {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return fmt.Errorf("hide secrets: %w", err)
	}
	// The name of the program, in parentheses, may hold spaces. After it comes field 3; see proc(5).
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const argStart, argEnd, envStart, envEnd = 48 - 3, 49 - 3, 50 - 3, 51 - 3
	if len(fields) <= envEnd {
		return errors.New("hide secrets: /proc/self/stat is too short")
	}
	memory, err := os.OpenFile("/proc/self/mem", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("hide secrets: %w", err)
	}
	defer memory.Close()
	for _, bounds := range [][2]int{{argStart, argEnd}, {envStart, envEnd}} {
		if err := blankMemory(memory, string(fields[bounds[0]]), string(fields[bounds[1]]), value); err != nil {
			return fmt.Errorf("hide secrets: %w", err)
		}
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}

func blankMemory(memory *os.File, from, to, value string) error {
	start, err := strconv.ParseInt(from, 10, 64)
	if err != nil {
		return err
	}
	end, err := strconv.ParseInt(to, 10, 64)
	if err != nil {
		return err
	}
	region := make([]byte, max(0, end-start))
	if _, err := memory.ReadAt(region, start); err != nil {
		return err
	}
	if !blank(region, value) {
		return nil
	}
	_, err = memory.WriteAt(region, start)
	return err
}
