package main

import (
	"fmt"
	"os/user"
	"strconv"
	"strings"
)

// account is the user that the model runs as.
type account struct {
	uid, gid int
	groups   []int
	name     string
	home     string
}

// lookUpAccount reads USER, UID, or either with :GROUP or :GID behind it.
func lookUpAccount(text string) (account, error) {
	name, group, grouped := strings.Cut(text, ":")
	a := account{name: name, home: "/"}
	known, err := user.Lookup(name)
	if err != nil {
		known, err = user.LookupId(name)
	}
	uid := name
	if err == nil {
		uid, a.name, a.home = known.Uid, known.Username, known.HomeDir
	}
	if a.uid, err = strconv.Atoi(uid); err != nil || a.uid < 0 {
		return a, fmt.Errorf("--runner-user %s: there is no such user", text)
	}
	switch {
	case grouped:
		a.gid, err = lookUpGroup(group)
	case known != nil:
		a.gid, err = strconv.Atoi(known.Gid)
	default:
		err = fmt.Errorf("user %d is not in the user database: write %d:GID", a.uid, a.uid)
	}
	if err != nil {
		return a, fmt.Errorf("--runner-user %s: %w", text, err)
	}
	a.groups = []int{a.gid}
	if known != nil && !grouped {
		a.groups = groupsOf(known, a.gid)
	}
	return a, nil
}

func lookUpGroup(name string) (int, error) {
	if known, err := user.LookupGroup(name); err == nil {
		name = known.Gid
	}
	gid, err := strconv.Atoi(name)
	if err != nil || gid < 0 {
		return 0, fmt.Errorf("there is no group %q", name)
	}
	return gid, nil
}

// groupsOf is every group of a user; a GPU often belongs to one.
func groupsOf(u *user.User, gid int) []int {
	groups := []int{gid}
	ids, err := u.GroupIds()
	if err != nil {
		return groups
	}
	for _, id := range ids {
		if n, err := strconv.Atoi(id); err == nil && n != gid {
			groups = append(groups, n)
		}
	}
	return groups
}

// environment is env as it is for the account.
func (a account) environment(env []string) []string {
	if a.name == "" {
		return env
	}
	return append(env[:len(env):len(env)], "HOME="+a.home, "USER="+a.name, "LOGNAME="+a.name)
}
