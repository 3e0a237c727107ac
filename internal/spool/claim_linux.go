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

// claimName claims the name of a directory for this process, as an abstract socket: no model can
// remove it, and the kernel frees it when the process ends. It returns free = false if another
// server has the name. The name holds within one network namespace; between containers, the lock
// file in the directory does the same.
//
// Because anybody can bind any abstract name, a name that a stranger has claimed is ignored.
func claimName(path string) (release func(), free bool) {
	name := abstractName(path)
	listener, err := net.Listen("unix", name)
	if err != nil {
		return func() {}, !claimedByUs(name, path)
	}
	done := make(chan struct{})
	go func() { // it keeps the queue of the socket from filling up
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

// claimedByUs reports whether the holder of the name is a server that may have the directory.
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
		peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err == nil {
			uid = int(peer.Uid)
		}
	})
	return uid >= 0 && ours(uid, path)
}

// ours reports whether a process of the user uid may have the directory: root, our own user, or the
// owner of the directory.
func ours(uid int, path string) bool {
	var stat unix.Stat_t
	return uid == 0 || uid == os.Geteuid() || unix.Stat(path, &stat) == nil && uid == int(stat.Uid)
}

// abstractName returns the same name for every path to the directory. It differs under another root
// directory, because containers that share a network have different directories at the same path.
func abstractName(path string) string {
	if parent, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(parent, filepath.Base(path))
	}
	var root unix.Stat_t
	_ = unix.Stat("/", &root) // if that fails, zeros do as well
	sum := sha256.Sum256(fmt.Appendf(nil, "%x-%x %s", root.Dev, root.Ino, path))
	return "@coggo-" + hex.EncodeToString(sum[:16])
}
