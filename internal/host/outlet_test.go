package host

import (
	"bytes"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
)

func TestOutletDoesNotBlockAndTellsHowMuchIsLost(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	o := NewOutlet(w, new(sync.Mutex), false)
	line := bytes.Repeat([]byte("x"), 1<<16)
	const lines = 64 // 4 MiB: more than a pipe and the outlet hold together
	for range lines {
		if n, err := o.Write(line); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	read := make(chan string)
	go func() {
		all, _ := io.ReadAll(r)
		read <- string(all)
	}()
	o.Flush()
	w.Close()
	got := <-read
	kept, lost, told := strings.Cut(got, "\ncoggo-server: ")
	if !told || !strings.HasSuffix(lost, " bytes of output are missing here, because nobody read it\n") {
		t.Fatalf("%d bytes, ends in %q", len(got), got[max(0, len(got)-100):])
	}
	if len(kept) <= mostHeld || len(kept) >= lines*len(line) {
		t.Errorf("kept %d bytes", len(kept))
	}
}

func TestMissingOutputIsAnObjectInJSON(t *testing.T) {
	if got := string(missingJSON(3)); !strings.HasPrefix(got, "{") || !strings.Contains(got, `"bytes":3`) {
		t.Error(got)
	}
}
