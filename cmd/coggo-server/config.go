package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"
)

// Config is every setting of the server, from flags, environment and cog.yaml, read once.
type Config struct {
	ModelDir string `arg:"" optional:"" default:"." help:"Directory of the model, where cog.yaml is."`

	Host                  string   `default:"0.0.0.0" env:"COG_HOST" help:"Address to listen on."`
	Port                  string   `default:"5000" env:"PORT,COG_PORT" help:"Port to listen on; 0 picks a free one."`
	AwaitExplicitShutdown bool     `help:"Ignore SIGTERM: end by POST /shutdown or SIGINT only."`
	AuthTokenFile         string   `type:"existingfile" placeholder:"FILE" help:"File with the token that clients must send as Authorization: Bearer. Without it: $$COGGO_AUTH_TOKEN."`
	CORSOrigin            []string `name:"cors-origin" placeholder:"ORIGIN" help:"Let pages of this origin use the API from a browser; may be repeated."`

	Predict        string `placeholder:"FILE:NAME" env:"COG_PREDICT_TYPE_STUB" help:"Predictor class or function. Default: predict or run of cog.yaml."`
	Train          string `placeholder:"FILE:NAME" env:"COG_TRAIN_TYPE_STUB" help:"Train function. Default: train of cog.yaml, or train beside the predictor."`
	Python         string `default:"python3" env:"COGGO_PYTHON" help:"Python interpreter that runs the model."`
	MaxConcurrency int    `placeholder:"N" env:"COG_MAX_CONCURRENCY" help:"Predictions at once in one runner; above 1 for async models. Default: concurrency.max of cog.yaml, @cog.concurrent, 1."`
	Runners        int    `default:"1" placeholder:"N" help:"Runner processes, each with the whole model."`
	WorkingDir     string `placeholder:"DIR" help:"Directory shared with the runner. A server started on the same one takes up what an earlier one left. Default: a fresh one."`
	Recover        string `enum:"fail,rerun" default:"fail" help:"What becomes of predictions that a killed server had in flight: fail or rerun."`
	MaxRestarts    int    `default:"3" placeholder:"N" help:"How often a crashed runner is started again within 10 minutes."`

	SetupTimeout   span          `placeholder:"TIME" help:"Longest setup, such as 90, 90s or 5m. Default: $$COG_SETUP_TIMEOUT, else none."`
	PredictTimeout span          `placeholder:"TIME" help:"Longest prediction. Default: none."`
	CancelGrace    span          `default:"10s" help:"How long a canceled prediction may take to end before its runner is replaced."`
	ShutdownGrace  span          `name:"runner-shutdown-grace-period" default:"30s" help:"How long predictions may go on after the server was told to stop."`
	MaxQueue       int           `default:"0" placeholder:"N" help:"Predictions that may wait for a slot; beyond it 429. With 0 none waits: 409."`
	Retain         int           `default:"1000" placeholder:"N" help:"Finished predictions to keep for GET; 0 keeps none."`
	RetainFor      time.Duration `default:"1h" help:"How long they are kept."`

	UploadURL           string        `name:"upload-url" env:"COG_UPLOAD_URL" placeholder:"URL" help:"Upload output files with PUT below this URL instead of returning data URLs."`
	WebhookSecret       string        `env:"COGGO_WEBHOOK_SECRET" placeholder:"whsec_…" help:"Sign webhooks by the Standard Webhooks specification."`
	DenyPrivateNetworks bool          `help:"Refuse downloads, uploads and webhooks to loopback, link-local and private addresses."`
	MaxBody             size          `default:"128MiB" help:"Largest request body."`
	MaxInputFile        size          `default:"8GiB" help:"Largest input file."`
	MaxOutputFile       size          `default:"8GiB" help:"Largest output file."`
	MaxLogBytes         size          `default:"16MiB" help:"Largest log of one prediction; the rest is dropped with a note."`
	HeaderTimeout       time.Duration `default:"10s" help:"How long a client may take to send its headers."`
	BodyTimeout         time.Duration `default:"30s" help:"How long a client may pause while it sends a body."`
	IdleTimeout         time.Duration `default:"2m" help:"How long an idle connection is kept."`

	LogLevel string           `default:"info" env:"COG_LOG_LEVEL" placeholder:"LEVEL" help:"debug, info, warning or error."`
	Version  kong.VersionFlag `help:"Print the version and exit."`

	XMode   string `name:"x-mode" enum:"predict,train," default:"" hidden:"" help:"Accepted for Cog's sake: train is served beside predict."`
	Threads int    `hidden:"" help:"Accepted for Cog's sake: a runner has one thread."`

	AuthToken string `kong:"-"` // from AuthTokenFile or the environment
}

// parse reads the command line, the environment and cog.yaml. It exits for --help and --version.
func parse(args []string) (Config, error) {
	var c Config
	parser, err := kong.New(&c,
		kong.Name("coggo-server"),
		kong.Description("Serve a Cog model over HTTP, or print its schema.\n\n  coggo-server --port 5000 examples/hello\n  coggo-server schema examples/hello"),
		kong.Vars{"version": "coggo-server " + version},
		kong.UsageOnError(),
	)
	if err != nil {
		return c, err
	}
	if _, err := parser.Parse(joinSwitch(args, "--await-explicit-shutdown")); err != nil {
		return c, fmt.Errorf("%w; see coggo-server --help", err)
	}
	if err := c.readModel(); err != nil {
		return c, err
	}
	c.readSetupTimeout()
	if err := c.readAuthToken(); err != nil {
		return c, err
	}
	return c, c.check()
}

// joinSwitch lets a switch be written with a value as its next word, as Cog's own server has it.
func joinSwitch(args []string, name string) []string {
	out := slices.Clone(args)
	for i := 0; i+1 < len(out); i++ {
		if value := strings.ToLower(out[i+1]); out[i] == name && (value == "true" || value == "false") {
			return append(append(out[:i:i], name+"="+value), out[i+2:]...)
		}
	}
	return out
}

// model is what cog.yaml says that matters at run time.
type model struct {
	Predict     string `yaml:"predict"`
	Run         string `yaml:"run"`
	Train       string `yaml:"train"`
	Concurrency struct {
		Max int `yaml:"max"`
	} `yaml:"concurrency"`
}

// readModel fills in from cog.yaml what flags and environment left open.
func (c *Config) readModel() error {
	dir, err := filepath.Abs(c.ModelDir)
	if err != nil {
		return err
	}
	c.ModelDir = dir
	if strings.ContainsRune(c.Python, filepath.Separator) { // the runner starts elsewhere: in the model's directory
		if c.Python, err = filepath.Abs(c.Python); err != nil {
			return err
		}
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("model directory %s: no such directory", dir)
	}
	var m model
	data, err := os.ReadFile(filepath.Join(dir, "cog.yaml"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read cog.yaml: %w", err)
	}
	if err := yaml.Unmarshal(data, &m); err != nil {
		return fmt.Errorf("read %s: %w", filepath.Join(dir, "cog.yaml"), err)
	}
	c.Predict = first(c.Predict, m.Predict, m.Run)
	c.Train = first(c.Train, m.Train)
	if c.MaxConcurrency == 0 {
		c.MaxConcurrency = m.Concurrency.Max
	}
	if c.Predict == "" {
		return fmt.Errorf("no predictor: write `predict: \"predict.py:Predictor\"` in %s, or use --predict FILE:NAME", filepath.Join(dir, "cog.yaml"))
	}
	return nil
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// readSetupTimeout reads Cog's variable, where anything that is no positive number of seconds means no limit.
func (c *Config) readSetupTimeout() {
	if seconds, err := strconv.ParseFloat(os.Getenv("COG_SETUP_TIMEOUT"), 64); err == nil && seconds > 0 && c.SetupTimeout == 0 {
		c.SetupTimeout = span(seconds * float64(time.Second))
	}
}

func (c *Config) readAuthToken() error {
	c.AuthToken = os.Getenv("COGGO_AUTH_TOKEN")
	if c.AuthTokenFile == "" {
		return nil
	}
	data, err := os.ReadFile(c.AuthTokenFile)
	if err != nil {
		return fmt.Errorf("read --auth-token-file: %w", err)
	}
	if c.AuthToken = strings.TrimSpace(string(data)); c.AuthToken == "" {
		return fmt.Errorf("--auth-token-file %s is empty", c.AuthTokenFile)
	}
	return nil
}

// check refuses values that no default can mend.
func (c *Config) check() error {
	switch {
	case c.MaxConcurrency < 0:
		return fmt.Errorf("--max-concurrency is %d: it must be at least 1", c.MaxConcurrency)
	case c.Runners < 1:
		return fmt.Errorf("--runners is %d: it must be at least 1", c.Runners)
	case c.MaxQueue < 0 || c.Retain < 0 || c.MaxRestarts < 0:
		return errors.New("--max-queue, --retain and --max-restarts must not be negative")
	}
	return nil
}

// span is a duration that may also be written as bare seconds.
type span time.Duration

// UnmarshalText reads "90", "1.5", "90s", "5m".
func (s *span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if seconds, bad := strconv.ParseFloat(string(text), 64); bad == nil {
		d, err = time.Duration(seconds*float64(time.Second)), nil
	}
	if err != nil || d < 0 {
		return fmt.Errorf("%q is not a time: write 90, 90s or 5m", text)
	}
	*s = span(d)
	return nil
}

// size is a number of bytes.
type size int64

var units = map[string]float64{
	"": 1, "B": 1, "K": 1e3, "KB": 1e3, "KIB": 1 << 10, "M": 1e6, "MB": 1e6, "MIB": 1 << 20, "G": 1e9, "GB": 1e9, "GIB": 1 << 30,
}

// UnmarshalText reads "1048576", "100MB", "8GiB".
func (s *size) UnmarshalText(text []byte) error {
	number := strings.TrimRight(string(text), "kKmMgGiIbB ")
	unit, known := units[strings.ToUpper(strings.TrimSpace(string(text)[len(number):]))]
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !known || n < 0 {
		return fmt.Errorf("%q is not a size: write 1048576, 100MB or 8GiB", text)
	}
	*s = size(n * unit)
	return nil
}
