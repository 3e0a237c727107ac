package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// Become gives the server and all that it starts the rights of the account, and no others, for
// every file, signal and process. That the server goes down too, instead of the runner alone, means
// that nothing which a model does to the shared directory (a link in the place of a file, a path in
// an answer) makes the server read or write what the model could not.
//
// One thing stays: 0 as the saved user id. It gives no rights until it is asked for, and it is what
// keeps the server apart from the model: the kernel lets a process look into another (memory,
// environment, descriptors) only if all three ids are its own. The model has none of it, since an
// exec ends it. Signals, which the protocol needs, ask for the real id only.
func (a Account) Become() error {
	if os.Geteuid() != 0 {
		return errors.New("--runner-user needs a server that is started as root")
	}
	if err := syscall.Setgroups(a.Groups); err != nil {
		return fmt.Errorf("--runner-user: set groups: %w", err)
	}
	if err := syscall.Setresgid(a.GID, a.GID, a.GID); err != nil {
		return fmt.Errorf("--runner-user: set group: %w", err)
	}
	// The model gains nothing by programs that would give it another user. Unknown to builds with
	// cgo, which are no releases.
	_, _, number := syscall.AllThreadsSyscall6(syscall.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
	if number != 0 && number != syscall.ENOTSUP {
		return fmt.Errorf("--runner-user: set no_new_privs: %w", number)
	}
	if err := syscall.Setresuid(a.UID, a.UID, 0); err != nil {
		return fmt.Errorf("--runner-user: set user: %w", err)
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}

// Own makes dir the account's, with mode 0700, if it is new or empty. One that the account may
// write to is left as it is: takeGiven makes a private one below it. Any other one with contents of
// another user is refused: they were made without --runner-user, and a change of all of them is the
// operator's to decide.
func (a Account) Own(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	byGroup := modeOf(info)&0o020 != 0 && slices.Contains(a.Groups, int(info.Sys().(*syscall.Stat_t).Gid))
	if ownerOf(info) == a.UID || byGroup || isShared(info) {
		return nil
	}
	contents, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(contents) > 0 {
		return fmt.Errorf("%s is not empty and belongs to another user than --runner-user: chown -R %d:%d it, or choose another", dir, a.UID, a.GID)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	return os.Chown(dir, a.UID, a.GID)
}
