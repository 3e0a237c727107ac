package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/coggo/coggo/internal/httpapi"
	"github.com/coggo/coggo/internal/webhook"
)

// Serving holds the settings of a process that serves the HTTP API, whether it has a model or not.
type Serving struct {
	Host                  string         `group:"Listening:" default:"0.0.0.0" env:"COG_HOST" help:"Address to listen on."`
	Port                  string         `group:"Listening:" default:"5000" env:"PORT,COG_PORT" help:"Port to listen on; 0 picks a free one."`
	PathPrefix            string         `group:"Listening:" placeholder:"PATH" help:"Path below which a proxy serves this server, such as /models/a: all URLs in its answers begin with it. The proxy may pass the prefix on or strip it. Default: the header X-Forwarded-Prefix."`
	AwaitExplicitShutdown bool           `group:"Listening:" help:"Ignore SIGTERM: stop on POST /shutdown or SIGINT only."`
	AuthTokenFile         string         `group:"Security:" type:"existingfile" placeholder:"FILE" help:"File with the token that clients must send as Authorization: Bearer. Default: the token in $$COGGO_AUTH_TOKEN, else clients need no token."`
	CORSOrigin            []string       `group:"Security:" name:"cors-origin" placeholder:"ORIGIN" help:"Let pages of this origin use the API from a browser; * allows every site; may be repeated. Default: no other site."`
	AllowedHost           []string       `group:"Security:" placeholder:"NAME" help:"Host name, in addition to localhost and addresses, for browsers that connect over loopback: from this machine or through a proxy on it; * for any; may be repeated. Without a token only. Default: no others."`
	WebhookSecret         string         `group:"Security:" env:"COGGO_WEBHOOK_SECRET" placeholder:"whsec_…" help:"Sign webhooks by the Standard Webhooks specification. Default: they are not signed."`
	WebhookAuthHost       []string       `group:"Security:" placeholder:"HOST" help:"Send $$WEBHOOK_AUTH_TOKEN with webhooks to this HOST or HOST:PORT only, or to every host below a domain, as in *.example.com; may be repeated. Default: with every webhook, as Cog does."`
	Without               []string       `group:"Running:" enum:"ballast,unmap,disconnect,sigmute,pristine" env:"COGGO_WITHOUT" placeholder:"NAME" help:"Switch off a performance trick that relies on undocumented behavior of Go, Linux or CPython, see docs/architecture.md; may be repeated. Default: all are on."`
	MaxQueue              *int           `group:"Running:" placeholder:"N" help:"Predictions that may wait for a slot; further ones get 429. With 0 they do not wait, and get 409. Default: 64 for requests to /v1, whose clients do not handle 409, and 0 for others."`
	RetainFor             span           `group:"Running:" default:"1h" help:"How long to keep them."`
	ShutdownGrace         span           `group:"Running:" name:"runner-shutdown-grace-period" default:"20s" help:"How long predictions may continue after the server was asked to stop."`
	MaxBody               size           `group:"Limits:" default:"128MiB" help:"Largest request body."`
	MaxUploads            size           `group:"Limits:" default:"16GiB" help:"Most bytes that the files uploaded to /v1/files take together; 0: no limit."`
	HeaderTimeout         span           `group:"Limits:" default:"10s" help:"How long a client may take to send its headers."`
	BodyTimeout           span           `group:"Limits:" default:"30s" help:"How long a client may pause while it sends a body."`
	IdleTimeout           span           `group:"Limits:" default:"2m" help:"How long an idle connection is kept."`
	StreamKeepAlive       span           `group:"Limits:" default:"15s" help:"How often a stream gets a comment, so that proxies do not close it as idle."`
	StreamTimeout         span           `group:"Limits:" default:"1m" help:"How long a client may read nothing of a stream or of any other answer."`
	AccessLog             bool           `group:"Logs:" help:"Write a line for each request, at level info. Probes and /metrics get one only when they fail."`
	HostFrom              string         `kong:"-"` // the source of Host, see sourceOf
	PortFrom              string         `kong:"-"` // the source of Port
	AuthToken             string         `kong:"-"` // from AuthTokenFile or the environment
	History               int            `kong:"-"` // events that a late reader of a stream is shown
	HookToken             string         `kong:"-"` // sent with webhooks, from the environment
	WebhookHosts          []webhook.Host `kong:"-"` // the hosts that get HookToken, from WebhookAuthHost

	Queue         string `group:"Queue:" env:"COGGO_QUEUE" placeholder:"URL" help:"Share predictions with other servers through this NATS JetStream broker, such as nats://broker:4222; several addresses with commas, tls:// for TLS; see docs/queue.md. Default: this server is alone."`
	QueueCreds    string `group:"Queue:" type:"existingfile" env:"COGGO_QUEUE_CREDS" placeholder:"FILE" help:"File that proves to the broker who this is: a JWT with its key, or the seed of an NKey. Default: none."`
	QueueCA       string `group:"Queue:" name:"queue-ca" type:"existingfile" env:"COGGO_QUEUE_CA" placeholder:"FILE" help:"Certificates that may have signed that of the broker. Default: those of the system."`
	QueueReplicas int    `group:"Queue:" default:"1" placeholder:"N" help:"How many nodes of the broker store each message, where this server is the first to need them: 1, 3 or 5."`
	Name          string `group:"Queue:" env:"COGGO_NAME" placeholder:"OWNER/MODEL" help:"Name of the model, with :VERSION if it takes other inputs than the one before. Servers with the same name share a queue. Default: coggo/ and the name of the directory; for a gateway, the only model on the queue. Others are below /models/OWNER/MODEL, see docs/queue.md."`
}

// Logging says what is logged and how.
type Logging struct {
	LogLevel  string `group:"Logs:" env:"COG_LOG_LEVEL" placeholder:"LEVEL" help:"debug, info, warning, error or off, or a number of Python's logging, such as 10 for debug. Default: info for the server; other commands log nothing."`
	LogFormat string `group:"Logs:" env:"LOG_FORMAT" placeholder:"FORMAT" help:"text, json, or console for people. Default: console on a terminal, else text."`
}

func (m Logging) check() error {
	if _, known := parseLevel(m.LogLevel); !known && m.LogLevel != "" {
		return fmt.Errorf("--log-level is %q: it must be debug, info, warning, error, off or a number", m.LogLevel)
	}
	return nil
}

// Network says which hosts may be reached.
type Network struct {
	DenyPrivateNetworks bool `group:"Security:" help:"Refuse downloads, uploads and webhooks to loopback, link-local and private addresses."`
}

func (c *Serving) read() error {
	if err := c.readSecrets(); err != nil {
		return err
	}
	if err := c.checkAddresses(); err != nil {
		return err
	}
	c.History = historyCapacity(os.Getenv("COG_STREAM_HISTORY_CAPACITY"))
	switch {
	case c.StreamKeepAlive <= 0 || c.StreamTimeout <= 0:
		return errors.New("--stream-keep-alive and --stream-timeout must be positive")
	case c.MaxQueue != nil && *c.MaxQueue < 0:
		return errors.New("--max-queue must not be negative")
	case c.Queue != "" && c.MaxQueue != nil && *c.MaxQueue == 0:
		return errors.New("--max-queue is 0: on a queue every prediction waits for a worker, so it must be at least 1")
	}
	return c.checkQueue()
}

// checkQueue refuses settings of a queue that can't be used.
func (c *Serving) checkQueue() error {
	c.Queue = strings.TrimSpace(c.Queue)
	switch c.QueueReplicas {
	case 1, 3, 5:
	default:
		return fmt.Errorf("--queue-replicas is %d: it must be 1, 3 or 5", c.QueueReplicas)
	}
	for address := range strings.SplitSeq(c.Queue, ",") {
		u, err := url.Parse(strings.TrimSpace(address))
		if c.Queue == "" || err == nil && u.Host != "" && (u.Scheme == "nats" || u.Scheme == "tls") {
			continue
		}
		return errors.New("--queue must be the address of a broker, such as nats://broker:4222 or tls://broker:4222; several with commas")
	}
	if c.Name != "" && !modelName.MatchString(c.Name) {
		return fmt.Errorf("--name is %q: it must be OWNER/MODEL or OWNER/MODEL:VERSION, of letters, digits, and - . _", c.Name)
	}
	return nil
}

// modelName is OWNER/MODEL[:VERSION].
var modelName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*(:[A-Za-z0-9][A-Za-z0-9._-]*)?$`)

// patientQueue is the default number of predictions that may wait if their clients cannot handle a
// refusal for lack of a slot.
const patientQueue = 64

// queue returns how many predictions may wait for a slot, and how many if their clients cannot
// handle a refusal.
func (c *Serving) queue() (all, patient int) {
	if c.MaxQueue == nil {
		return 0, patientQueue
	}
	return *c.MaxQueue, *c.MaxQueue
}

// checkAddresses rejects malformed addresses at startup, not when they are first used.
func (c *Serving) checkAddresses() error {
	if n, err := strconv.Atoi(c.Port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("port %q (%s): --port and PORT must be a number from 0 to 65535",
			c.Port, c.PortFrom)
	}
	c.PathPrefix = strings.TrimRight(c.PathPrefix, "/")
	if c.PathPrefix != "" && !httpapi.Prefix.MatchString(c.PathPrefix) {
		return fmt.Errorf(
			"--path-prefix is %q: it must be a path such as /models/a, "+
				"of letters, digits, and - . _ ~",
			c.PathPrefix)
	}
	if err := c.readWebhookHosts(); err != nil {
		return err
	}
	for _, host := range c.AllowedHost {
		if host == "" || strings.ContainsAny(host, ":/ ") {
			return fmt.Errorf(
				"--allowed-host is %q: it must be a host name without scheme and port, or *", host)
		}
	}
	for _, origin := range c.CORSOrigin {
		u, err := url.Parse(origin)
		if origin != "*" && (err != nil || u.Host == "" || u.Scheme+"://"+u.Host != origin) {
			return fmt.Errorf("--cors-origin is %q: it must be a scheme and a host "+
				"without a path, such as https://app.example.com, or *", origin)
		}
	}
	return nil
}

// readWebhookHosts reads the receivers that get the token of webhooks. Without the flag all of them
// do, as in Cog.
func (c *Serving) readWebhookHosts() error {
	for _, text := range c.WebhookAuthHost {
		host, err := webhook.ParseHost(text)
		if err != nil {
			return fmt.Errorf("--webhook-auth-host %w", err)
		}
		c.WebhookHosts = append(c.WebhookHosts, host)
	}
	if c.WebhookHosts == nil {
		c.WebhookHosts = []webhook.Host{webhook.Everybody}
	}
	return nil
}

// port returns the port to listen on. complete has checked it.
func (c *Serving) port() int {
	n, _ := strconv.Atoi(c.Port)
	return n
}
