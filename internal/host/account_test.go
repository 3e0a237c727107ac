package host

import (
	"slices"
	"strings"
	"testing"
)

func TestLookUpAccount(t *testing.T) {
	root, err := LookUpAccount("0")
	if err != nil || root.UID != 0 || root.GID != 0 || root.Name != "root" || root.Groups[0] != 0 {
		t.Errorf("got %+v, %v", root, err)
	}
	unknown, err := LookUpAccount("54321:54322")
	if err != nil || unknown.UID != 54321 || !slices.Equal(unknown.Groups, []int{54322}) || unknown.Home != "/" {
		t.Errorf("got %+v, %v", unknown, err)
	}
}

func TestLookUpAccountNamesTheFlagAndTheFix(t *testing.T) {
	for text, want := range map[string]string{
		"nobody-of-that-name": "there is no such user",
		"-1":                  "there is no such user",
		"54321":               "user 54321 is not in the user database: write 54321:GID",
		"0:no-such-group":     `there is no group "no-such-group"`,
	} {
		_, err := LookUpAccount(text)
		if err == nil || !strings.HasPrefix(err.Error(), "--runner-user "+text) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestEnvironmentOfAnAccountLeavesTheServersAlone(t *testing.T) {
	env := make([]string, 1, 8)
	env[0] = "A=1"
	got := Account{Name: "u", Home: "/h"}.Environment(env)
	if want := []string{"A=1", "HOME=/h", "USER=u", "LOGNAME=u"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if spare := env[:2]; spare[1] != "" {
		t.Errorf("the spare capacity of the server's own slice was written: %q", spare)
	}
	if got := (Account{}).Environment(env); !slices.Equal(got, env) {
		t.Errorf("the zero account changes %q", got)
	}
}
