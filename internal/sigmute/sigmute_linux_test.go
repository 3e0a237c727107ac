package sigmute_test

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/coggo/coggo/internal/sigmute"
)

func TestAMutedSignalIsDroppedUntilItIsUnmuted(t *testing.T) {
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGUSR2)
	defer signal.Stop(got)
	send := func(wait time.Duration) (heard bool) {
		if err := syscall.Kill(os.Getpid(), syscall.SIGUSR2); err != nil {
			t.Fatal(err)
		}
		select {
		case <-got:
			return true
		case <-time.After(wait):
			return false
		}
	}
	muted := sigmute.New(syscall.SIGUSR2)
	for range 3 {
		muted.Mute(true)
		muted.Mute(true)
		if send(200 * time.Millisecond) {
			t.Error("a muted signal was delivered")
		}
		muted.Mute(false)
		if !send(time.Minute) {
			t.Error("a signal that is no longer muted was dropped")
		}
	}
}
