package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/coggo/coggo/internal/host"
	"github.com/coggo/coggo/internal/weburl"
)

// Model holds the settings of a model that all commands share.
type Model struct {
	Logging
	Network

	ModelDir string `arg:"" optional:"" default:"." help:"Directory of the model, where cog.yaml is."`

	Predict        string `group:"The model:" placeholder:"FILE:NAME" env:"COG_PREDICT_TYPE_STUB" help:"Predictor class or function. Default: predict or run of cog.yaml."`
	Train          string `group:"The model:" placeholder:"FILE:NAME" env:"COG_TRAIN_TYPE_STUB" help:"Train function. Default: train of cog.yaml, or train next to the predictor."`
	Python         string `group:"The model:" placeholder:"FILE" env:"COGGO_PYTHON" help:"Python interpreter that runs the model. Default: the one that coggo is installed for, else python3."`
	MaxConcurrency int    `group:"The model:" placeholder:"N" env:"COG_MAX_CONCURRENCY" help:"Predictions at once in one runner; above 1 for async models. Default: concurrency.max of cog.yaml, @cog.concurrent, 1."`

	SetupTimeout   span `group:"Limits:" placeholder:"TIME" help:"Longest setup, such as 90, 90s or 5m. Default: $$COG_SETUP_TIMEOUT, else no limit."`
	PredictTimeout span `group:"Limits:" placeholder:"TIME" help:"Longest prediction. Default: no limit."`
	CancelGrace    span `group:"Limits:" default:"10s" help:"How long a canceled prediction may take to finish before its runner is replaced."`
	MaxInputFile   size `group:"Limits:" default:"8GiB" help:"Largest input file."`
	MaxInputFiles  int  `group:"Limits:" default:"64" placeholder:"N" help:"Most input files of one prediction; 0: no limit."`
	MaxOutput      size `group:"Limits:" default:"256MiB" help:"Largest output of one prediction: the sum of all yielded items, without files. 0: no limit."`
	MaxOutputFile  size `group:"Limits:" default:"8GiB" help:"Largest output file."`
	MaxLogBytes    size `group:"Limits:" default:"16MiB" help:"Largest log of one prediction; the rest is dropped, and a line says so."`

	RunnerEnv []string `group:"Security:" sep:"none" placeholder:"NAME" help:"Give the model this variable of the environment, or those of a pattern such as HF_*, or NAME=VALUE; may be repeated. Default: all but the server's own secrets."`

	Named    string   `kong:"-"` // "run" if cog.yaml has the predictor there, else "predict"
	Warnings []string `kong:"-"` // about cog.yaml, for the author of the model
	Packages string   `kong:"-"` // packages in cog.yaml, in the form for the runner
	Checking bool     `kong:"-"` // this is coggo-server check
}

// Config holds every setting of the server. They come from flags, the environment and cog.yaml, and
// are read once.
type Config struct {
	Model
	Serving

	RunnerUser string `group:"Security:" placeholder:"USER[:GROUP]" help:"Run the model as this user, and everything else too once the port is open. For a server that is started as root. Default: the user who starts the server."`

	Runners        int    `group:"Running:" default:"1" placeholder:"N" help:"Runner processes, each with the whole model."`
	BusyPoll       span   `group:"Running:" default:"500us" help:"How long server and runner poll for each other's next message before they sleep, while short predictions follow each other that closely; twice as long for the end of a canceled one; 0: never. Off with fewer than two processors for each runner."`
	KeepBootMemory bool   `group:"Running:" help:"Keep memory that only startup needed: garbage, and pages of the program that equal its file. By default the server returns it half a second after setup."`
	RunnerDevices  string `group:"Running:" placeholder:"LISTS" help:"GPUs of each runner as CUDA_VISIBLE_DEVICES, such as '0;1;2,3' for three. Default: several runners divide the GPUs that the server sees."`
	WorkingDir     string `group:"Running:" placeholder:"DIR" help:"Directory shared with the runner. In a directory that is not its own, or to which others may write, the server makes a private one. A server started on the same directory adopts the predictions that an earlier one left. Default: one of this user, model and port, see docs/operating.md."`
	Ephemeral      bool   `group:"Running:" help:"Use a fresh directory that is removed with the server, so that nothing outlives a crash. Implied by --port 0; ignored with --working-dir."`
	Recover        string `group:"Running:" enum:"fail,rerun," default:"" help:"What happens to the predictions that a killed server had in flight: fail or rerun. Default: fail, and with --queue rerun."`
	MaxRestarts    int    `group:"Running:" default:"3" placeholder:"N" help:"How often a crashed runner is restarted within 10 minutes."`
	Reload         bool   `group:"Running:" help:"For development: reload the model whenever its files change, see docs/operating.md."`
	MaxFetching    int    `group:"Running:" default:"8" placeholder:"N" help:"Predictions that may fetch input files in addition to those with a free slot; further ones get 409, or wait in the queue."`
	MaxAttempts    int    `group:"Queue:" default:"3" placeholder:"N" help:"How often a prediction of the queue may run whose workers are lost; then it fails."`
	Retain         int    `group:"Running:" default:"1000" placeholder:"N" help:"Finished predictions to keep for GET; 0: do not keep any."`
	UploadURL      string `group:"Running:" name:"upload-url" env:"COG_UPLOAD_URL" placeholder:"URL" help:"Upload output files with PUT below this URL. Default: answers contain them as data URLs."`

	XMode   string `name:"x-mode" enum:"predict,train," default:"" hidden:"" help:"Accepted for Cog's sake: train is served next to predict."`
	Threads int    `hidden:"" help:"Accepted for Cog's sake: a runner has one thread."`

	Given   Model        `kong:"-"` // from flags and environment, without cog.yaml
	Account host.Account `kong:"-"` // of RunnerUser
}

// complete fills in values from cog.yaml and files, and rejects invalid settings.
func (c *Config) complete() error { return usage(c.read()) }

func (c *Config) read() error {
	c.Given = c.Model
	if err := c.Model.read(); err != nil {
		return err
	}
	c.UploadURL = strings.TrimSpace(c.UploadURL)
	if _, err := weburl.Parse(c.UploadURL); c.UploadURL != "" && err != nil {
		return fmt.Errorf("--upload-url %w", err)
	}
	if err := c.Serving.read(); err != nil {
		return err
	}
	c.Name = cmp.Or(c.Name, "coggo/"+filepath.Base(c.ModelDir))
	c.Recover = cmp.Or(c.Recover, c.usualRecovery())
	if c.RunnerUser != "" {
		var err error
		if c.Account, err = host.LookUpAccount(c.RunnerUser); err != nil {
			return err
		}
	}
	switch {
	case c.Runners < 1:
		return fmt.Errorf("--runners is %d: it must be at least 1", c.Runners)
	case c.MaxFetching < 0 || c.Retain < 0 || c.MaxRestarts < 0:
		return errors.New("--max-fetching, --retain and --max-restarts must not be negative")
	case c.MaxAttempts < 1:
		return fmt.Errorf("--max-attempts is %d: it must be at least 1", c.MaxAttempts)
	case c.Queue != "" && c.Reload:
		return errors.New("--reload is for one server alone: it can't be used with --queue")
	}
	return nil
}

// usualRecovery is the default of --recover.
func (c *Config) usualRecovery() string {
	if c.Queue != "" {
		return "rerun"
	}
	return "fail"
}

// complete fills in settings that the flags left open, from cog.yaml and the environment.
func (m *Model) complete() error { return usage(m.read()) }

func (m *Model) read() (err error) {
	if m.ModelDir, err = filepath.Abs(m.ModelDir); err != nil {
		return err
	}
	if m.Python == "" {
		m.Python = host.OwnPython()
	}
	// The runner starts in another directory: that of the model.
	if strings.ContainsRune(m.Python, filepath.Separator) {
		if m.Python, err = filepath.Abs(m.Python); err != nil {
			return err
		}
	}
	m.readSetupTimeout()
	if err := m.readManifest(); err != nil {
		return err
	}
	if m.MaxConcurrency < 0 {
		return fmt.Errorf("--max-concurrency is %d: it must be at least 1", m.MaxConcurrency)
	}
	if m.MaxInputFiles < 0 {
		return fmt.Errorf("--max-input-files is %d: it must not be negative", m.MaxInputFiles)
	}
	if err := m.Logging.check(); err != nil {
		return err
	}
	return host.CheckRunnerEnv(m.RunnerEnv)
}

func (m *Model) readManifest() error {
	if info, err := os.Stat(m.ModelDir); err == nil && !info.IsDir() {
		return fmt.Errorf("model directory %s: not a directory; name the one that has cog.yaml, "+
			"or give a file with --predict FILE:NAME", m.ModelDir)
	} else if err != nil {
		return fmt.Errorf("model directory %s: %w; see coggo-server --help",
			m.ModelDir, reasonOf(err))
	}
	path := filepath.Join(m.ModelDir, "cog.yaml")
	found, err := openManifest(path)
	if err != nil {
		return err
	}
	m.Warnings = found.Warnings
	m.Named = "predict"
	if m.Predict == "" && found.Predict == "" {
		m.Named = "run"
	}
	m.Predict = cmp.Or(m.Predict, found.Predict, found.Run)
	m.Train = cmp.Or(m.Train, found.Train)
	m.Packages = found.Packages.json(m.ModelDir)
	if m.MaxConcurrency == 0 {
		m.MaxConcurrency = found.MaxConcurrency
	}
	if m.Predict == "" {
		missing := fmt.Sprintf("no predictor: write `predict: \"predict.py:Predictor\"` in %s, "+
			"or use --predict FILE:NAME", path)
		return errors.New(strings.Join(append([]string{missing}, m.Warnings...), "\n"))
	}
	return nil
}

// readSetupTimeout reads Cog's variable. Anything but a positive number of seconds means no limit
// there.
func (m *Model) readSetupTimeout() {
	if limit, ok := inSeconds(os.Getenv("COG_SETUP_TIMEOUT")); ok && m.SetupTimeout == 0 {
		m.SetupTimeout = span(limit)
	}
}

func historyCapacity(text string) int {
	if n, err := strconv.Atoi(text); err == nil && n >= 0 {
		return min(n, mostHistory)
	}
	return 1024
}

// mostHistory is in effect no limit. Twice its value does not overflow an int.
const mostHistory = 1 << 30

// span is a duration that can also be given as bare seconds.
type span time.Duration

// UnmarshalText reads "90", "1.5", "90s", "5m".
func (s *span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if bare, ok := inSeconds(string(text)); ok {
		d, err = bare, nil
	}
	if err != nil || d < 0 {
		return fmt.Errorf("%q is not a time: write 90, 90s or 5m", text)
	}
	*s = span(d)
	return nil
}

// inSeconds reads a number of seconds. It must not be negative, and must fit a Duration.
func inSeconds(text string) (time.Duration, bool) {
	seconds, err := strconv.ParseFloat(text, 64)
	d := seconds * float64(time.Second)
	return time.Duration(d), err == nil && d >= 0 && d < math.MaxInt64
}

// size is a number of bytes.
type size int64

var units = map[string]float64{
	"": 1, "B": 1, "K": 1e3, "KB": 1e3, "KIB": 1 << 10,
	"M": 1e6, "MB": 1e6, "MIB": 1 << 20, "G": 1e9, "GB": 1e9, "GIB": 1 << 30,
}

// UnmarshalText reads "1048576", "100MB", "8GiB".
func (s *size) UnmarshalText(text []byte) error {
	number := strings.TrimRight(string(text), "kKmMgGiIbB ")
	unit, known := units[strings.ToUpper(strings.TrimSpace(string(text)[len(number):]))]
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !known || !(n >= 0 && n*unit < math.MaxInt64) {
		return fmt.Errorf("%q is not a size: write 1048576, 100MB or 8GiB", text)
	}
	*s = size(n * unit)
	return nil
}
