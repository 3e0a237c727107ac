package files

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
)

// The cookies that one chain of redirects may set. RFC 6265, section 6.1, requires at least as
// much.
const (
	maxCookies     = 50
	maxCookieBytes = 4096
)

// cookies is the jar of one chain of redirects. A cookie is sent only to the host that has set it,
// whatever domain it names: only a list of public suffixes could tell which domains have one owner.
type cookies struct {
	http.CookieJar
	taken int
}

func newCookies() *cookies {
	jar, _ := cookiejar.New(nil) // the error is always nil
	return &cookies{CookieJar: jar}
}

// SetCookies keeps the cookies of a response from u.
func (c *cookies) SetCookies(u *url.URL, all []*http.Cookie) {
	host := "." + strings.ToLower(u.Hostname())
	for _, cookie := range all {
		domain := "." + strings.ToLower(strings.TrimPrefix(cookie.Domain, "."))
		foreign := cookie.Domain != "" && !strings.HasSuffix(host, domain)
		if foreign || len(cookie.Name)+len(cookie.Value) > maxCookieBytes || c.taken == maxCookies {
			continue
		}
		c.taken++
		own := *cookie
		own.Domain = ""
		c.CookieJar.SetCookies(u, []*http.Cookie{&own})
	}
}
