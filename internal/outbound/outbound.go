// Package outbound makes the HTTP clients with which the server reaches others: receivers of webhooks, sources of input
// files, stores of output files.
package outbound

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// Options says what a client may do.
type Options struct {
	DenyPrivate bool // refuse addresses that are not public
	MaxConns    int  // connections to one host at once; 0: no limit
}

// NewClient returns a client for options. It has no overall time limit: bodies may be long, callers bound them by their
// contexts. With DenyPrivate the proxies of the environment are not used, since a proxy would hide where a request
// really goes.
func NewClient(o Options) *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          256,
		MaxIdleConnsPerHost:   64,
		MaxConnsPerHost:       o.MaxConns,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: time.Minute,
	}
	if o.DenyPrivate {
		dialer.Control = publicOnly
		transport.Proxy = nil
	}
	return &http.Client{Transport: transport}
}

// PrivateAddressError says that a request would have gone to an address that is not public.
type PrivateAddressError struct{ Address netip.Addr }

func (e *PrivateAddressError) Error() string {
	return fmt.Sprintf("the address %s is not public, and --deny-private-networks is set", e.Address)
}

// publicOnly sees the address that is really dialled: after the name was resolved and after every redirect.
func publicOnly(_, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dial %s: %w", address, err)
	}
	if addr := target.Addr().Unmap().WithZone(""); !Public(addr) {
		return &PrivateAddressError{addr}
	}
	return nil
}

// reserved are the special-purpose networks of RFC 6890 that the methods of netip.Addr do not cover, with the translation
// prefixes that can hide an IPv4 address.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this network
	netip.MustParsePrefix("100.64.0.0/10"),   // shared by providers, RFC 6598
	netip.MustParsePrefix("192.0.0.0/24"),    // IETF
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"), // documentation
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, and broadcast
	netip.MustParsePrefix("64:ff9b::/96"),    // NAT64
	netip.MustParsePrefix("64:ff9b:1::/48"),  // NAT64, local use
	netip.MustParsePrefix("100::/64"),        // discard
	netip.MustParsePrefix("2001::/23"),       // IETF, Teredo
	netip.MustParsePrefix("2001:db8::/32"),   // documentation
	netip.MustParsePrefix("2002::/16"),       // 6to4
	netip.MustParsePrefix("fec0::/10"),       // site-local
}

// Public reports whether addr can belong to a host of the public internet.
func Public(addr netip.Addr) bool {
	if !addr.IsGlobalUnicast() || addr.IsPrivate() {
		return false
	}
	for _, network := range reserved {
		if network.Contains(addr) {
			return false
		}
	}
	return true
}
