// Package outbound makes the HTTP clients with which the server reaches others: receivers of
// webhooks, sources of input files, stores of output files.
package outbound

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// Options limits a client.
type Options struct {
	DenyPrivate bool // refuse addresses that are not public
	MaxConns    int  // connections to one host at once; 0: no limit
}

// NewClient returns a client for options. It has no overall time limit, because bodies may be long:
// callers bound them by their contexts. With DenyPrivate it ignores the proxies of the environment,
// because a proxy would hide where a request really goes.
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
	return &http.Client{Transport: locator{transport}}
}

// PrivateAddressError says that a request would have gone to an address that is not public.
type PrivateAddressError struct{ Address netip.Addr }

func (e *PrivateAddressError) Error() string {
	return fmt.Sprintf(
		"the address %s is not public, and --deny-private-networks is set", e.Address)
}

// publicOnly checks the address that is really dialed: after the name was resolved, and after every
// redirect.
func publicOnly(_, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dial %s: %w", address, err)
	}
	if addr := target.Addr().Unmap(); !Public(addr) {
		return &PrivateAddressError{addr}
	}
	return nil
}

// globalUnicast is the part of IPv6 that IANA has assigned to hosts of the internet. Everything
// else is special or not assigned.
var globalUnicast = netip.MustParsePrefix("2000::/3")

// translated are IPv4 addresses in IPv6 form, which DNS64 gives to hosts without IPv4 (RFC 6052).
// The address inside decides.
var translated = netip.MustParsePrefix("64:ff9b::/96")

// special are the networks of the IANA special-purpose registries that are not for public hosts,
// https://www.iana.org/assignments/iana-ipv4-special-registry and …/iana-ipv6-special-registry, and
// multicast. A network is refused as a whole even if a part of it is reachable, and so is one that
// can hide an IPv4 address. For IPv6 the list needs only networks within globalUnicast.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),         // this network
	netip.MustParsePrefix("10.0.0.0/8"),        // private
	netip.MustParsePrefix("100.64.0.0/10"),     // shared by providers
	netip.MustParsePrefix("127.0.0.0/8"),       // loopback
	netip.MustParsePrefix("169.254.0.0/16"),    // link-local
	netip.MustParsePrefix("172.16.0.0/12"),     // private
	netip.MustParsePrefix("192.0.0.0/24"),      // IETF
	netip.MustParsePrefix("192.0.2.0/24"),      // documentation
	netip.MustParsePrefix("192.31.196.0/24"),   // AS112
	netip.MustParsePrefix("192.52.193.0/24"),   // AMT
	netip.MustParsePrefix("192.88.99.0/24"),    // relays of 6to4
	netip.MustParsePrefix("192.168.0.0/16"),    // private
	netip.MustParsePrefix("192.175.48.0/24"),   // AS112
	netip.MustParsePrefix("198.18.0.0/15"),     // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"),   // documentation
	netip.MustParsePrefix("203.0.113.0/24"),    // documentation
	netip.MustParsePrefix("224.0.0.0/4"),       // multicast
	netip.MustParsePrefix("240.0.0.0/4"),       // reserved, and broadcast
	netip.MustParsePrefix("168.63.129.16/32"),  // not IANA's: Azure, the host of the machine
	netip.MustParsePrefix("2001::/23"),         // IETF, with Teredo
	netip.MustParsePrefix("2001:db8::/32"),     // documentation
	netip.MustParsePrefix("2002::/16"),         // 6to4
	netip.MustParsePrefix("2620:4f:8000::/48"), // AS112
	netip.MustParsePrefix("3ffe::/16"),         // 6bone, returned
	netip.MustParsePrefix("3fff::/20"),         // documentation
}

// Public reports whether addr can belong to a host of the public internet.
func Public(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("") // a prefix never contains an address with a zone
	if translated.Contains(addr) {
		inside := addr.As16()
		addr = netip.AddrFrom4([4]byte(inside[12:]))
	}
	if addr.Is6() && !globalUnicast.Contains(addr) {
		return false
	}
	contains := func(network netip.Prefix) bool { return network.Contains(addr) }
	return addr.IsValid() && !slices.ContainsFunc(special, contains)
}
