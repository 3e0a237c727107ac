package httpapi

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxWait is the longest time that `Prefer: wait` can ask for.
const maxWait = 60 * time.Second

// preference is the content of the Prefer header (RFC 7240).
type preference struct {
	async bool
	wait  time.Duration // 0: not asked for
}

// preferred reads the list. It ignores unknown preferences. If one appears twice, the first counts.
func preferred(h http.Header) (p preference) {
	for _, line := range h.Values("Prefer") {
		for _, item := range splitQuoted(line, ',') {
			item = splitQuoted(item, ';')[0]
			name, value, _ := strings.Cut(item, "=")
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "respond-async":
				p.async = true
			case "wait":
				if p.wait == 0 {
					p.wait = waitFor(strings.Trim(strings.TrimSpace(value), `"`))
				}
			}
		}
	}
	return p
}

// splitQuoted splits text at separators outside of quoted strings.
func splitQuoted(text string, separator byte) (parts []string) {
	start, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch {
		case quoted && text[i] == '\\':
			i++
		case text[i] == '"':
			quoted = !quoted
		case text[i] == separator && !quoted:
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:])
}

// waitFor returns the time in text, or the longest one if text has none, as for a bare `wait`.
func waitFor(text string) time.Duration {
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(seconds >= 0 && seconds < maxWait.Seconds()) {
		return maxWait
	}
	return max(time.Millisecond, time.Duration(seconds*float64(time.Second)))
}
