package files

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
)

// What one chain of redirects may set at most. A client has to take as much, see RFC 6265, section
// 6.1.
const (
	maxCookies     = 50
	maxCookieBytes = 4096
)

// cookies are those of one chain of redirects. Each goes back to the one host that has set it,
// whatever domain it names: only a list of public suffixes could tell which domains have an owner.
type cookies struct {
	http.CookieJar
	taken int
}

func newCookies() *cookies {
	jar, _ := cookiejar.New(nil) // the error is always nil
	return &cookies{CookieJar: jar}
}

// SetCookies takes what an answer from u sets.
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
