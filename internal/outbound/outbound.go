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

// Options says what a client may do.
type Options struct {
	DenyPrivate bool // refuse addresses that are not public
	MaxConns    int  // connections to one host at once; 0: no limit
}

// NewClient returns a client for options. It has no overall time limit: bodies may be long, callers
// bound them by their contexts. With DenyPrivate the proxies of the environment are not used, since
// a proxy would hide where a request really goes.
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
	return fmt.Sprintf("the address %s is not public, and --deny-private-networks is set", e.Address)
}

// publicOnly sees the address that is really dialled: after the name was resolved and after every
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

// globalUnicast is what IANA has given out of IPv6 for hosts of the internet; everything else is
// special, or nobody's yet.
var globalUnicast = netip.MustParsePrefix("2000::/3")

// translated are IPv4 addresses as hosts without IPv4 are told them by DNS64, RFC 6052: it is the
// address inside that counts.
var translated = netip.MustParsePrefix("64:ff9b::/96")

// special are the networks of the IANA special-purpose registries that are no place for a public
// host, https://www.iana.org/assignments/iana-ipv4-special-registry and
// …/iana-ipv6-special-registry, with multicast. Refused as a whole are also those in which a part
// is reachable, and those that can hide an IPv4 address. Of IPv6 only what is inside of
// globalUnicast has to be named.
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
	netip.MustParsePrefix("168.63.129.16/32"),  // not of IANA: the host of a virtual machine in Azure
	netip.MustParsePrefix("2001::/23"),         // IETF, among it Teredo
	netip.MustParsePrefix("2001:db8::/32"),     // documentation
	netip.MustParsePrefix("2002::/16"),         // 6to4
	netip.MustParsePrefix("2620:4f:8000::/48"), // AS112
	netip.MustParsePrefix("3ffe::/16"),         // 6bone, given back
	netip.MustParsePrefix("3fff::/20"),         // documentation
}

// Public reports whether addr can belong to a host of the public internet.
func Public(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("") // networks contain no address with a zone
	if translated.Contains(addr) {
		inside := addr.As16()
		addr = netip.AddrFrom4([4]byte(inside[12:]))
	}
	if addr.Is6() && !globalUnicast.Contains(addr) {
		return false
	}
	return addr.IsValid() && !slices.ContainsFunc(special, func(network netip.Prefix) bool { return network.Contains(addr) })
}
