package main

import (
	"bufio"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// settle gives back what only the boot needed: its garbage, and the pages of this program's own file, which are most of the
// memory of a server after boot. The kernel maps those again, from its page cache, when they are used.
func settle() {
	debug.FreeOSMemory()
	unmapProgram()
}

// unmapProgram drops the pages of the program's read-only mappings. They are never written, so nothing is lost.
func unmapProgram() {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		line := strings.Fields(lines.Text())
		if len(line) < 6 || line[5] != exe || strings.Contains(line[1], "w") {
			continue
		}
		from, to, _ := strings.Cut(line[0], "-")
		start, _ := strconv.ParseUint(from, 16, 64)
		end, _ := strconv.ParseUint(to, 16, 64)
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(start), uintptr(end-start), unix.MADV_DONTNEED) // advice only
	}
}
