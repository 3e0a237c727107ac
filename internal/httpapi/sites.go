package httpapi

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// sites keeps pages of other sites from using the server through a browser that can reach it, such
// as one on the same machine. Without a preflight such a page can change things, but not read the
// answers. By DNS rebinding it can do both: its own name resolves to a loopback address, so that
// the browser takes the server for the page's own site.
func (a *API) sites(next http.Handler) http.Handler {
	if slices.Contains(a.CORSOrigins, "*") {
		return next
	}
	protection := http.NewCrossOriginProtection()
	for _, origin := range a.CORSOrigins {
		if err := protection.AddTrustedOrigin(origin); err != nil {
			panic(err) // the flags were checked
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case protection.Check(r) != nil:
			a.writeError(w, r, &httpError{
				http.StatusForbidden, "a page of another site may not do this, see --cors-origin",
			})
		case a.AuthToken == "" && !a.knownHost(r.Host) &&
			fromBrowser(r.Header) && overLoopback(r.RemoteAddr):
			a.writeError(w, r, &httpError{
				http.StatusForbidden, "a browser on this machine may not use the server " +
					"by this host name, see --allowed-host",
			})
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// knownHost reports whether the Host of a request is one that an attacker cannot point to this
// machine: an address, a loopback name, or one of AllowedHosts.
func (a *API) knownHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return slices.ContainsFunc(a.AllowedHosts, func(allowed string) bool {
		return allowed == "*" || strings.EqualFold(allowed, host)
	})
}

// fromBrowser reports whether a browser sent the request. Sec-Fetch-Site and Origin are not enough:
// browsers send neither if a page reads over plain HTTP from its own name. A page can change
// Accept-Language, and in some browsers User-Agent, but it can remove neither. Node sends
// Accept-Language too, but always with Sec-Fetch-Mode, which a page can't add.
func fromBrowser(h http.Header) bool {
	return h["Sec-Fetch-Site"] != nil || h["Origin"] != nil ||
		strings.HasPrefix(h.Get("User-Agent"), "Mozilla/") ||
		h["Accept-Language"] != nil && h["Sec-Fetch-Mode"] == nil
}

func overLoopback(remote string) bool {
	from, err := netip.ParseAddrPort(remote)
	return err == nil && from.Addr().Unmap().IsLoopback()
}
