package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/coggo/coggo/internal/host"
	"github.com/coggo/coggo/internal/pool"
	"github.com/coggo/coggo/internal/schema"
	"github.com/coggo/coggo/internal/supervisor"
)

// printBanner shows on a terminal how long setup takes. Then it shows how to use the model, or how
// to fix it. The caller must call end.
func printBanner(
	c *console, s *supervisor.Supervisor, config Config, address net.Addr,
) (end func()) {
	done := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		for {
			renewed := s.Renewed()
			printBannerOnce(c, s, config, address, renewed, done)
			if !config.Reload {
				return
			}
			select {
			case <-renewed:
			case <-done:
				return
			}
		}
	})
	return func() {
		close(done)
		ended.Wait()
	}
}

// printBannerOnce is printBanner for one setup. It shows nothing if renewed or done is closed
// before setup has ended.
func printBannerOnce(
	c *console, s *supervisor.Supervisor, config Config, address net.Addr,
	renewed, done <-chan struct{},
) {
	stop := c.timer("setting up the model")
	defer stop()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for s.Status() == pool.Starting {
		select {
		case <-ticker.C:
		case <-renewed:
			return
		case <-done:
			return
		}
	}
	took := stop()
	document, err := s.Schema()
	health := s.Health(context.Background())
	switch {
	case health.Status == pool.SetupFailed:
		_, _ = c.Write([]byte(whatNext(config, address))) // a failed write can't be reported
	case err == nil && health.Max > 0:
		_, _ = c.Write([]byte(banner(config, address, document, health.Max, took)))
	}
}

// banner says where the model is, who can reach it, which inputs it takes, and how to try it.
func banner(
	c Config, address net.Addr, document *schema.Document, slots int, took time.Duration,
) string {
	at := urlOf(address)
	many := "1 prediction at a time"
	if slots > 1 {
		many = fmt.Sprintf("%d predictions at a time", slots)
	}
	input, amiss := example(document)
	body := quoted(fmt.Sprintf(`{"input": %s}`, input))
	return fmt.Sprintf(`
  Coggo %s serves %s (%s) at %s
  ready after %.1f s, %s
  open to %s
  page to try it: %s/docs

%s
  curl -s -X POST %s%s -H 'Content-Type: application/json' -d %s
%s
`, version, filepath.Base(c.ModelDir), c.Model.Predict, at, took.Seconds(), many,
		audience(c, address), at,
		signatureOf(document).table("  "), quoted(at+"/predictions"), authorization(c), body,
		inWords(amiss))
}

// whatNext says what the author of a model can do after a failed setup. The error is above it.
func whatNext(c Config, address net.Addr) string {
	remedy := "Press Ctrl-C, fix the error above, and start the server again."
	if c.Reload {
		remedy = "Fix the error above and save: the server then reloads the model."
	}
	return fmt.Sprintf(`
  Setup failed, so the server takes no predictions. %s
  %s
    checks the model without a server
  %s/health-check
    has the error and the logs of setup, for as long as this server runs

`, remedy, checkLine(c), urlOf(address))
}

// checkLine returns the command that checks this model, with the same settings.
func checkLine(c Config) string {
	words := []string{os.Args[0], "check", c.ModelDir}
	if !host.Exists(filepath.Join(c.ModelDir, "cog.yaml")) {
		words = append(words, "--predict", c.Model.Predict)
	}
	if c.Python != host.OwnPython() {
		words = append(words, "--python", c.Python)
	}
	for i, word := range words {
		words[i] = quoted(word)
	}
	return strings.Join(words, " ")
}

// urlOf returns the URL of a listener on this machine.
func urlOf(address net.Addr) string {
	host, port, _ := net.SplitHostPort(address.String()) // a listener's address has both
	ip := net.ParseIP(host)
	v4 := net.IPv4(127, 0, 0, 1)
	if ip != nil && (ip.IsUnspecified() || ip.Equal(v4) || ip.Equal(net.IPv6loopback)) {
		host = "localhost"
	}
	return (&url.URL{Scheme: "http", Host: net.JoinHostPort(host, port)}).String()
}

// audience says who can use the server.
func audience(c Config, address net.Addr) string {
	host, port, _ := net.SplitHostPort(address.String())
	who, token := "everyone who can reach this host on port "+port, ", without a token"
	switch ip := net.ParseIP(host); {
	case ip.IsLoopback():
		who, token = "this machine only", ""
	case !ip.IsUnspecified():
		who = fmt.Sprintf("everyone who can reach %s on port %s", host, port)
	}
	if c.AuthToken != "" {
		token = ", with the token"
	}
	return who + token
}

// authorization returns the header that a server with a token requires, for a shell. It never shows
// the token itself.
func authorization(c Config) string {
	switch {
	case c.AuthTokenFile != "":
		return ` -H "Authorization: Bearer $(cat ` + quoted(c.AuthTokenFile) + `)"`
	case c.AuthToken != "":
		return ` -H "Authorization: Bearer $COGGO_AUTH_TOKEN"`
	default:
		return ""
	}
}

// plainWord matches a word that needs no quotes in a shell.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// quoted returns s as one word of a shell.
func quoted(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
