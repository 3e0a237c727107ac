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

// Become switches the server and all its children to the rights of the account, and no others, for
// every file, signal and process. It switches the server too, not only the runner. So nothing that
// a model puts into the shared directory (a link in the place of a file, a path in a response) can
// make the server read or write a file that the model could not.
//
// One thing stays: 0 as the saved user id. It gives no rights until it is asked for, and it keeps
// the server apart from the model: the kernel lets a process inspect another one (memory,
// environment, descriptors) only if all three ids are its own. The model does not have it, because
// an exec drops it. Signals, which the protocol needs, require only the real id.
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
	// The model gains nothing from programs that would give it another user. This call is unknown
	// to builds with cgo, but releases do not use cgo.
	const noNewPrivs = unix.PR_SET_NO_NEW_PRIVS
	_, _, number := syscall.AllThreadsSyscall6(syscall.SYS_PRCTL, noNewPrivs, 1, 0, 0, 0, 0)
	if number != 0 && number != syscall.ENOTSUP {
		return fmt.Errorf("--runner-user: set no_new_privs: %w", number)
	}
	if err := syscall.Setresuid(a.UID, a.UID, 0); err != nil {
		return fmt.Errorf("--runner-user: set user: %w", err)
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}

// Own gives dir to the account, with mode 0700, if it is new or empty. It leaves a directory to
// which the account may write as it is: takeGiven makes a private one below it. It refuses any
// other directory with contents of another user: they were made without --runner-user, and only the
// operator should change them all.
func (a Account) Own(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	gid := int(info.Sys().(*syscall.Stat_t).Gid)
	byGroup := modeOf(info)&0o020 != 0 && slices.Contains(a.Groups, gid)
	if ownerOf(info) == a.UID || byGroup || isShared(info) {
		return nil
	}
	contents, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(contents) > 0 {
		return fmt.Errorf("%s is not empty and belongs to another user than --runner-user: "+
			"chown -R %d:%d it, or choose another", dir, a.UID, a.GID)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	return os.Chown(dir, a.UID, a.GID)
}
