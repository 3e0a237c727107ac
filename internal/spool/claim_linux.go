package spool

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// claimName holds the name of a directory for this process: an abstract socket, which no model can
// remove and which the kernel gives back when the process ends. It is free = false when another
// server has it. The name holds within one network namespace; between containers the file inside
// the directory does.
//
// Anybody can bind any abstract name, so one that a stranger has claimed counts for nothing.
func claimName(path string) (release func(), free bool) {
	name := abstractName(path)
	listener, err := net.Listen("unix", name)
	if err != nil {
		return func() {}, !claimedByUs(name, path)
	}
	done := make(chan struct{})
	go func() { // or else its queue would be full of those who have asked
		defer close(done)
		for {
			asking, err := listener.Accept()
			if err != nil {
				return
			}
			_ = asking.Close()
		}
	}()
	return func() {
		_ = listener.Close()
		<-done
	}, true
}

// claimedByUs reports whether a server that may have the directory holds the name.
func claimedByUs(name, path string) bool {
	asking, err := net.Dial("unix", name)
	if err != nil {
		return false
	}
	defer asking.Close()
	raw, err := asking.(*net.UnixConn).SyscallConn()
	if err != nil {
		return false
	}
	uid := -1
	_ = raw.Control(func(fd uintptr) {
		if peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			uid = int(peer.Uid)
		}
	})
	return uid >= 0 && ours(uid, path)
}

// ours reports whether a process of that user may have the directory: it is root's, our own, or
// that of its owner.
func ours(uid int, path string) bool {
	var stat unix.Stat_t
	return uid == 0 || uid == os.Geteuid() || unix.Stat(path, &stat) == nil && uid == int(stat.Uid)
}

// abstractName is the same for every path to the directory, and another one under another root
// directory: containers that share a network have different directories at the same path.
func abstractName(path string) string {
	if parent, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(parent, filepath.Base(path))
	}
	var root unix.Stat_t
	_ = unix.Stat("/", &root) // zeros are as good for everybody else
	sum := sha256.Sum256(fmt.Appendf(nil, "%x-%x %s", root.Dev, root.Ino, path))
	return "@coggo-" + hex.EncodeToString(sum[:16])
}
