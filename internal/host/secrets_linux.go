package host

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// blankProcess overwrites the secrets in the environment and the command line that /proc shows of
// this process, and prevents other processes of the user from reading its memory or tracing it. The
// server itself has copies of its variables. A model that runs as root with every capability can
// read everything all the same, see docs/security.md.
func blankProcess(withheld func(entry string) bool) error {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return fmt.Errorf("hide secrets: %w", err)
	}
	// The name of the program, in parentheses, may hold spaces. After it comes field 3; see
	// proc(5).
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
	arguments := blankMemory(memory, fields[argStart], fields[argEnd], blankArguments)
	environment := blankMemory(memory, fields[envStart], fields[envEnd],
		func(region []byte) bool { return blankEnvironment(region, withheld) })
	if err := errors.Join(arguments, environment); err != nil {
		return fmt.Errorf("hide secrets: %w", err)
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}

func blankMemory(memory *os.File, from, to []byte, blank func(region []byte) bool) error {
	start, err := strconv.ParseInt(string(from), 10, 64)
	if err != nil {
		return err
	}
	end, err := strconv.ParseInt(string(to), 10, 64)
	if err != nil {
		return err
	}
	region := make([]byte, max(0, end-start))
	if _, err := memory.ReadAt(region, start); err != nil {
		return err
	}
	if !blank(region) {
		return nil
	}
	_, err = memory.WriteAt(region, start)
	return err
}
