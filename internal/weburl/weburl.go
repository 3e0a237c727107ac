// Package weburl parses the URLs that clients, operators and other servers write, and spells them
// as RFC 3986 wants them on the wire. It has one rule for all of them, so a URL is either refused
// when it is given, or can be sent.
package weburl

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// The errors do not repeat the URL, because it may contain a secret.
var (
	ErrNotWeb  = errors.New("must be an http or https URL")
	ErrControl = errors.New("must be a URL without control characters")
	ErrHost    = errors.New("must be a URL with a host name or an IP address, " +
		"and with a port up to 65535 or none")
)

// Parse parses an absolute http or https URL. It percent-encodes spaces, characters beyond ASCII,
// and percent signs that do not begin an escape: a URL cannot contain them. Escapes stay as they
// are. The host comes back in lower case, and in punycode if it was not ASCII. Parse drops the
// fragment, because it is never sent.
func Parse(text string) (*url.URL, error) {
	clean, err := encode(text)
	if err != nil {
		return nil, err
	}
	scheme, rest, _ := strings.Cut(clean, ":")
	if !isWeb(strings.ToLower(scheme)) || !strings.HasPrefix(rest, "//") {
		return nil, ErrNotWeb
	}
	u, err := url.Parse(clean)
	if err != nil {
		return nil, ErrHost
	}
	if u.Hostname() == "" {
		return nil, ErrNotWeb
	}
	return u, setHost(u)
}

// Resolve parses a reference relative to base, as in a Location header. It may have any scheme.
func Resolve(base *url.URL, reference string) (*url.URL, error) {
	clean, err := encode(reference)
	if err != nil {
		return nil, err
	}
	if i := strings.IndexAny(clean, ":/?"); i >= 0 && clean[i] == ':' && !isScheme(clean[:i]) {
		clean = "./" + clean // a path whose first part has a colon, see RFC 3986, section 4.2
	}
	u, err := base.Parse(clean)
	if err != nil {
		return nil, ErrHost
	}
	if isWeb(u.Scheme) && u.Hostname() != "" {
		err = setHost(u)
	}
	return u, err
}

func isScheme(text string) bool {
	other := func(r rune) bool { return !isLetterOrDigit(r) && !strings.ContainsRune("+-.", r) }
	// '+', '-' and '.' come before the digits in ASCII.
	return text != "" && text[0] > '9' && !strings.ContainsFunc(text, other)
}

func isWeb(scheme string) bool { return scheme == "http" || scheme == "https" }

// Host returns the one spelling of a host name: in lower case, and in punycode if it is not ASCII.
func Host(name string) (string, error) {
	if strings.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }) {
		ascii, err := idna.Lookup.ToASCII(name)
		if err != nil || strings.ContainsRune(name, utf8.RuneError) { // also for invalid UTF-8
			return "", ErrHost
		}
		name = ascii
	}
	other := func(r rune) bool { return !isLetterOrDigit(r) && !strings.ContainsRune("-._", r) }
	if name == "" || strings.ContainsFunc(name, other) {
		return "", ErrHost
	}
	return strings.ToLower(name), nil
}

// setHost gives u the one spelling of its host. IP addresses in brackets were checked when u was
// parsed.
func setHost(u *url.URL) error {
	port := u.Port()
	if _, err := strconv.ParseUint(port, 10, 16); port != "" && err != nil {
		return ErrHost
	}
	host := "[" + u.Hostname() + "]"
	if !strings.HasPrefix(u.Host, "[") {
		var err error
		if host, err = Host(u.Hostname()); err != nil {
			return err
		}
	}
	if port != "" {
		host += ":" + port
	}
	u.Host = host
	return nil
}

// The characters that the parts of a URL may contain in addition to letters, digits, -._~ and
// escapes, see RFC 3986, appendix A.
const (
	subDelims  = "!$&'()*+,;="
	userMarks  = subDelims + ":"
	pathMarks  = userMarks + "@/"
	queryMarks = pathMarks + "?"
)

// encode percent-encodes the parts of a URL, or of a reference to one, and drops its fragment.
func encode(text string) (string, error) {
	text = strings.Trim(text, " ")
	if strings.ContainsFunc(text, unicode.IsControl) {
		return "", ErrControl
	}
	text, _, _ = strings.Cut(text, "#")
	text, query, asks := strings.Cut(text, "?")
	head, authority, path := split(text)
	clean := head + encodeAuthority(authority) + escape(path, pathMarks)
	if asks {
		clean += "?" + escape(query, queryMarks)
	}
	return clean, nil
}

// split cuts a URL without its query. head is a scheme with its colon, and two slashes; both may be
// missing.
func split(text string) (head, authority, path string) {
	if i := strings.IndexAny(text, ":/"); i >= 0 && text[i] == ':' && isScheme(text[:i]) {
		head, text = text[:i+1], text[i+1:]
	}
	text, ok := strings.CutPrefix(text, "//")
	if !ok {
		return head, "", text
	}
	end := strings.IndexByte(text, '/')
	if end < 0 {
		end = len(text)
	}
	return head + "//", text[:end], text[end:]
}

// encodeAuthority does not encode the host name: see Host.
func encodeAuthority(authority string) string {
	user, host := "", authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		user, host = escape(authority[:i], userMarks)+"@", authority[i+1:]
	}
	// RFC 6874 wants the percent sign before the zone of an IPv6 address escaped, but most people
	// write it bare.
	address, zone, zoned := strings.Cut(host, "%")
	if zoned && strings.HasPrefix(host, "[") && !strings.HasPrefix(zone, "25") {
		host = address + "%25" + zone
	}
	return user + host
}

// escape percent-encodes every byte of part that is neither unreserved, nor one of marks, nor part
// of an escape.
func escape(part, marks string) string {
	const digits = "0123456789ABCDEF"
	var out strings.Builder
	from := 0
	for i := range len(part) {
		c := part[i]
		if isLetterOrDigit(rune(c)) ||
			strings.IndexByte("-._~", c) >= 0 || strings.IndexByte(marks, c) >= 0 ||
			c == '%' && i+2 < len(part) && isHex(part[i+1]) && isHex(part[i+2]) {
			continue
		}
		out.WriteString(part[from:i])
		out.Write([]byte{'%', digits[c>>4], digits[c&15]})
		from = i + 1
	}
	if from == 0 {
		return part
	}
	out.WriteString(part[from:])
	return out.String()
}

func isLetterOrDigit(r rune) bool {
	return '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
