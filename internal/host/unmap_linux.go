package host

import (
	"bufio"
	"errors"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ReleaseBootMemory returns memory to the kernel that only startup needed: garbage and, with unmap,
// the pages of the program's own file.
//
// Dropping the program's pages is a trick, because Go does not know about it:
//
//   - What it assumes: the pages of a file mapping that the process cannot write, and of which
//     /proc/self/smaps counts no anonymous page, equal the file. MADV_DONTNEED drops them, and the
//     kernel reads them from the page cache when they are used again (madvise(2), Linux).
//   - If that is false: TestOnlyUnchangedPagesOfTheFileAreReleased and
//     tests/faults/test_memory.py fail. Mappings with relocated pages, as in a position-independent
//     program, are left alone, and so is everything if /proc/self/smaps can't be read.
//   - What it buys: these pages are two thirds of an idle server's memory, 12 MiB → 4 MiB
//     (docs/decisions/0010).
//   - How to switch it off: coggo-server --without unmap; --keep-boot-memory keeps the garbage too.
func ReleaseBootMemory(unmap bool) {
	debug.FreeOSMemory()
	if unmap {
		unmapProgram()
	}
}

func unmapProgram() {
	path, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	smaps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer smaps.Close()
	clean, err := cleanMappings(smaps, path)
	if err != nil {
		return
	}
	for _, m := range clean {
		// It is advice only.
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.start, m.end-m.start, unix.MADV_DONTNEED)
	}
}

// mapping is a range of addresses.
type mapping struct{ start, end uintptr }

// cleanMappings returns the mappings of the file at path that can't be written and have no page
// that differs from the file. smaps is a file like /proc/self/smaps. Other mappings must stay: if a
// page that the loader has relocated is dropped, as in a position-independent program, the kernel
// brings back its contents before the relocation.
func cleanMappings(smaps io.Reader, path string) ([]mapping, error) {
	var clean []mapping
	var last *mapping // the mapping that the lines are about, if it may be clean
	for lines := bufio.NewScanner(smaps); ; {
		if !lines.Scan() {
			return clean, lines.Err()
		}
		fields := strings.Fields(lines.Text())
		switch {
		// A line of addresses, permissions, offset, device, inode and path.
		case len(fields) >= 2 && !strings.HasSuffix(fields[0], ":"):
			last = nil
			if len(fields) == 6 && fields[5] == path && !strings.Contains(fields[1], "w") {
				m, err := parseMapping(fields[0])
				if err != nil {
					return nil, err
				}
				last = &m
			}
		// The size of the pages that differ from the file.
		case last != nil && len(fields) == 3 && fields[0] == "Anonymous:":
			if fields[1] == "0" {
				clean = append(clean, *last)
			}
			last = nil
		}
	}
}

func parseMapping(addresses string) (mapping, error) {
	from, to, _ := strings.Cut(addresses, "-")
	start, err := strconv.ParseUint(from, 16, 64)
	end, bad := strconv.ParseUint(to, 16, 64)
	return mapping{uintptr(start), uintptr(end)}, errors.Join(err, bad)
}
