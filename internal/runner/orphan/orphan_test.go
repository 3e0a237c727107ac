//go:build linux

package orphan

import (
	"os/exec"
	"testing"
)

func TestTheMarkOfADirectoryCoversItsRunnersAndThatOfARunnerItselfOnly(t *testing.T) {
	const dir, other = Mark("COGGO_SPOOL=1-2/"), Mark("COGGO_SPOOL=1-3/")
	first, second := (dir + "a-b/").Runner(1), (dir + "a-b/").Runner(2)
	for _, row := range []struct {
		mark, of Mark
		covers   bool
	}{
		{dir, first, true},
		{dir, second, true},
		{first, first, true},
		{first, second, false},
		{other, first, false},
		{(other + "a-b/").Runner(1), first, false},
	} {
		if got := row.mark.covers(row.of.number()); got != row.covers {
			t.Errorf("%q covers %q: %v", row.mark, row.of, got)
		}
	}
}

func TestAProcessIsKilledUnlessItsPIDWasReused(t *testing.T) {
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	e, _ := look(cmd.Process.Pid)
	before := e
	before.start = "1" // an earlier process with the same PID
	before.kill()
	if now, ok := look(e.PID); !ok || now.Zombie {
		t.Error("it was taken for the earlier process")
	}
	e.kill()
	if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Errorf("it ended otherwise: %v", err)
	}
}
