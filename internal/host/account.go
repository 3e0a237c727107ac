package host

import (
	"fmt"
	"os/user"
	"slices"
	"strconv"
	"strings"
)

// Account is the user that the model runs as. The zero Account is the user of the server.
type Account struct {
	UID, GID int
	Groups   []int
	Name     string
	Home     string
}

// LookUpAccount reads USER or UID, optionally followed by :GROUP or :GID. Its errors name
// --runner-user.
func LookUpAccount(text string) (Account, error) {
	name, group, grouped := strings.Cut(text, ":")
	a := Account{Name: name, Home: "/"}
	known, err := user.Lookup(name)
	if err != nil {
		known, err = user.LookupId(name)
	}
	uid := name
	if err == nil {
		uid, a.Name, a.Home = known.Uid, known.Username, known.HomeDir
	}
	if a.UID, err = strconv.Atoi(uid); err != nil || a.UID < 0 {
		return a, fmt.Errorf("--runner-user %s: there is no such user", text)
	}
	switch {
	case grouped:
		a.GID, err = lookUpGroup(group)
	case known != nil:
		a.GID, err = strconv.Atoi(known.Gid)
	default:
		err = fmt.Errorf("user %d is not in the user database: write %d:GID", a.UID, a.UID)
	}
	if err != nil {
		return a, fmt.Errorf("--runner-user %s: %w", text, err)
	}
	a.Groups = []int{a.GID}
	if known != nil && !grouped {
		a.Groups = groupsOf(known, a.GID)
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

// groupsOf returns every group of a user, because a GPU often belongs to one.
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

// Environment returns env with the HOME, USER and LOGNAME of the account.
func (a Account) Environment(env []string) []string {
	if a.Name == "" {
		return env
	}
	return append(slices.Clip(env), "HOME="+a.Home, "USER="+a.Name, "LOGNAME="+a.Name)
}
