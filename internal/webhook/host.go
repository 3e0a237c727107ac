package webhook

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/coggo/coggo/internal/weburl"
)

// Host names receivers: one host, every host below a domain, or all.
type Host struct {
	name  string // in lower case; "" with below: all
	below bool   // the hosts below name, but not name itself
	port  string // "": any
}

// Everybody names every receiver.
var Everybody = Host{below: true}

// ParseHost reads HOST or HOST:PORT, either one with *. in front for every host below it, or * for
// all.
func ParseHost(text string) (Host, error) {
	if text == "*" {
		return Everybody, nil
	}
	h := Host{name: text}
	if name, port, err := net.SplitHostPort(text); err == nil {
		h.name, h.port = name, port
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return h, fmt.Errorf("%q has no port between 1 and 65535 behind its colon", text)
		}
	}
	name, below := strings.CutPrefix(strings.TrimSuffix(strings.TrimPrefix(h.name, "["), "]"), "*.")
	h.below = below
	address := net.ParseIP(name) != nil
	var err error
	if !address {
		name, err = weburl.Host(name)
	}
	h.name = canonical(name)
	if err != nil || h.name == "" || below && address {
		return h, fmt.Errorf(
			"%q: write HOST or HOST:PORT, *.DOMAIN for every host below a domain, or *", text)
	}
	return h, nil
}

// canonical returns a host name in the form for comparisons. A dot at its end does not change the
// host.
func canonical(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// Matches reports whether h names a receiver. Two spellings of one address are two hosts: a host
// that is not recognized gets nothing.
func (h Host) Matches(receiver *url.URL) bool {
	if h.port != "" && h.port != portOf(receiver) {
		return false
	}
	name := canonical(receiver.Hostname())
	if !h.below {
		return name == h.name
	}
	return h.name == "" || strings.HasSuffix(name, "."+h.name) && net.ParseIP(name) == nil
}

var defaultPorts = map[string]string{"http": "80", "https": "443"}

func portOf(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	return defaultPorts[u.Scheme]
}

// authorize adds the token if the receiver may get it.
func (s *Sender) authorize(h http.Header, receiver *url.URL) {
	if s.AuthToken == "" {
		return
	}
	for _, host := range s.AuthHosts {
		if host.Matches(receiver) {
			h.Set("Authorization", "Bearer "+s.AuthToken)
			return
		}
	}
}

// sameReceiver reports whether a redirect stays at the receiver: on one host and port, or from the
// default port of http to that of https.
func sameReceiver(from, to *url.URL) bool {
	if canonical(from.Hostname()) != canonical(to.Hostname()) {
		return false
	}
	if from.Scheme == "http" && to.Scheme == "https" {
		return portOf(from) == "80" && portOf(to) == "443"
	}
	return from.Scheme == to.Scheme && portOf(from) == portOf(to)
}
