package files_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coggo/coggo/internal/files"
)

func TestUploadsExpireAndAreRemoved(t *testing.T) {
	now, count := time.Now(), 0
	store := &files.Store{
		Dir: t.TempDir(), Keep: time.Hour, Now: func() time.Time { return now },
		NewID: func() string { count++; return fmt.Sprintf("upload%04d", count) },
	}
	put := func() files.Stored {
		stored, err := store.Put("a.txt", "text/plain", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		return stored
	}
	onDisk := func() int {
		entries, err := os.ReadDir(store.Dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	first := put()
	now = now.Add(59 * time.Minute)
	if got, err := store.Get(first.ID); err != nil || got.Size != 5 {
		t.Errorf("before its time: %+v, %v", got, err)
	}
	second := put()
	now = now.Add(2 * time.Minute)
	if _, err := store.Get(first.ID); !errors.Is(err, files.ErrNotStored) {
		t.Errorf("after its time: %v", err)
	}
	if list, _ := store.List(); len(list) != 1 || list[0].ID != second.ID {
		t.Errorf("listed: %+v", list)
	}
	put()
	if n := onDisk(); n != 2 {
		t.Errorf("%d uploads are on disk, the expired one among them", n)
	}
}

func TestAnUploadDoesNotCheckAllOthersForExpiry(t *testing.T) {
	now, looks, count := time.Now(), 0, 0
	store := &files.Store{
		Dir: t.TempDir(), Keep: time.Hour, Now: func() time.Time { looks++; return now },
		NewID: func() string { count++; return fmt.Sprintf("upload%04d", count) },
	}
	for range 100 {
		if _, err := store.Put("a.txt", "text/plain", strings.NewReader("hello")); err != nil {
			t.Fatal(err)
		}
	}
	if looks > 1000 { // each look at a stored file asks for the time
		t.Errorf("100 uploads have asked %d times whether something has expired", looks)
	}
}
