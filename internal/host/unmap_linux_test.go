package host

import (
	"slices"
	"strings"
	"testing"
)

func TestOnlyUnchangedPagesOfTheFileAreReleased(t *testing.T) {
	const smaps = `
55d0c0000000-55d0c0400000 r--p 00000000 00:1f 77 /usr/bin/coggo-server
Size:               4096 kB
Anonymous:             0 kB
AnonHugePages:         0 kB
VmFlags: rd mr mw me sd
55d0c0400000-55d0c0800000 r-xp 00400000 00:1f 77 /usr/bin/coggo-server
Anonymous:             0 kB
VmFlags: rd ex mr mw me sd
55d0c0800000-55d0c0900000 r--p 00800000 00:1f 77 /usr/bin/coggo-server
Anonymous:           876 kB
55d0c0900000-55d0c0a00000 rw-p 00900000 00:1f 77 /usr/bin/coggo-server
Anonymous:             0 kB
7f0000000000-7f0000100000 r-xp 00000000 00:1f 78 /usr/lib/libc.so.6
Anonymous:             0 kB
7f0000200000-7f0000300000 rw-p 00000000 00:00 0
Anonymous:            16 kB
7f0000400000-7f0000500000 r--p 00000000 00:1f 77 /usr/bin/coggo-server
VmFlags: rd mr mw me sd
`
	got, err := cleanMappings(strings.NewReader(strings.TrimPrefix(smaps, "\n")), "/usr/bin/coggo-server")
	if err != nil {
		t.Fatal(err)
	}
	want := []mapping{{0x55d0c0000000, 0x55d0c0400000}, {0x55d0c0400000, 0x55d0c0800000}}
	if !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}
