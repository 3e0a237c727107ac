package spool_test

import (
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coggo/coggo/internal/spool"
)

// changed returns what has changed, as names of files.
func changed(c *spool.Changes) (names []string, all bool) {
	all = c.Read(func(batch iter.Seq[spool.Change]) {
		for found := range batch {
			kind := "events"
			if found.Response {
				kind = "response"
			}
			names = append(names, kind+" "+string(found.FileID))
		}
	})
	return names, all
}

// add appends to a file, as the runner does with events.
func add(t *testing.T, path, text string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err == nil {
		_, err = file.WriteString(text)
	}
	if err == nil {
		err = file.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// watched returns a report whose watch has begun.
func watched(t *testing.T, d *spool.Dir) *spool.Changes {
	t.Helper()
	c := d.Changes()
	t.Cleanup(c.Close)
	if names, all := changed(c); names != nil || all || !c.Watching() {
		t.Fatalf("the first call returned %v, %v", names, all)
	}
	return c
}

func TestChangesNameThePredictionsWithNewFiles(t *testing.T) {
	d := open(t)
	add(t, filepath.Join(d.Path(), "events-old.jsonl"), "{}\n")
	c := watched(t, d)
	long := "~" + strings.Repeat("0123456789abcdef", 4)
	for _, id := range []string{"x", long, "x"} {
		add(t, filepath.Join(d.Path(), "events-"+id+".jsonl"), "{}\n")
	}
	if err := d.PutCancel("y", "client"); err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(d.Path(), ".tmp", "response-y.json")
	add(t, half, "{}")
	if err := os.Rename(half, filepath.Join(d.Path(), "response-y.json")); err != nil {
		t.Fatal(err)
	}
	want := []string{"events x", "events " + long, "events x", "response y"}
	if got, all := changed(c); !slices.Equal(got, want) || !all {
		t.Errorf("got %v, %v", got, all)
	}
	if got, all := changed(c); got != nil || !all {
		t.Errorf("then there was %v, %v", got, all)
	}
}

func TestChangesSayWhenThereMayBeMore(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, d *spool.Dir){
		"the queue of the kernel is full": func(t *testing.T, d *spool.Dir) {
			most := strings.TrimSpace(string(kernel(t, "max_queued_events")))
			for i := 0; fmt.Sprint(i) != most; i++ {
				for _, id := range []string{"x", "y"} { // two events in a row for one file are one
					add(t, filepath.Join(d.Path(), "events-"+id+".jsonl"), "\n")
				}
			}
		},
		"the directory was removed": func(t *testing.T, d *spool.Dir) {
			if err := os.RemoveAll(d.Path()); err != nil {
				t.Fatal(err)
			}
			if err := d.Clear(); err != nil {
				t.Fatal(err)
			}
		},
		"another one is in its place": func(t *testing.T, d *spool.Dir) {
			if err := os.Rename(d.Path(), d.Path()+"-before"); err != nil {
				t.Fatal(err)
			}
			if err := d.Clear(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t)
			c := watched(t, d)
			lose(t, d)
			if _, all := changed(c); all {
				t.Fatal("there may be more")
			}
			for {
				if _, all := changed(c); all {
					break
				}
			}
			add(t, filepath.Join(d.Path(), "events-z.jsonl"), "{}\n")
			if got, all := changed(c); !slices.Equal(got, []string{"events z"}) || !all {
				t.Errorf("then there was %v, %v", got, all)
			}
		})
	}
}

func kernel(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/fs/inotify/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
