package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// system is a runtime under test. Each has its own environment below bench/.
type system struct {
	name    string
	path    string // of predictions
	ready   func(s *server) bool
	command func(model string, port int, o options) (*exec.Cmd, error)
	slow    bool // takes seconds to start, so a quick run leaves it out
	bound   bool // not a runtime, but a bound for all of them
}

// options are the settings of a server for a workload.
type options struct {
	concurrency int
	uploadURL   string
	flags       string // more of them for Coggo
}

var systems = []*system{
	{name: "coggo", path: "/predictions", ready: saysReady, command: coggo("bin/coggo-server")},
	{name: "coglet", path: "/predictions", ready: saysReady, command: cogHTTP("coglet")},
	{
		name: "fastapi", path: "/predictions", slow: true,
		ready: saysReady, command: cogHTTP("fastapi"),
	},
	{
		name: "mosec", path: "/inference",
		ready: answers("/"), command: script("mosec", func(port int) []string {
			return []string{
				"--address", "127.0.0.1", "--port", strconv.Itoa(port),
				"--max-request-size", "100000000",
			}
		}),
	},
	{
		name: "litserve", path: "/predict", slow: true,
		ready: answers("/health"), command: script("litserve", func(port int) []string {
			return []string{strconv.Itoa(port)}
		}),
	},
	{name: "floor", path: "/", ready: answers("/"), command: floorServer, bound: true},
	{name: "bare", path: "/", ready: answers("/"), command: bareServer, bound: true},
}

func python(system string) string {
	// Abs fails only without a current directory.
	path, _ := filepath.Abs("bench/.venv-" + system + "/bin/python")
	if _, err := os.Stat(path); system == "coggo" && err != nil {
		return "python3" // the runner needs the standard library only
	}
	return path
}

// modelDir creates a directory with a cog.yaml that names class.
func modelDir(class string, o options) (string, error) {
	dir, err := os.MkdirTemp("", "bench-model-")
	if err != nil {
		return "", err
	}
	text := "predict: \"predict.py:" + class + "\"\n"
	if o.concurrency > 1 {
		text += fmt.Sprintf("concurrency:\n  max: %d\n", o.concurrency)
	}
	file := "bench/models/cog_models.py"
	switch class {
	case "Noop":
		file = "bench/models/cog_noop.py"
	case "Batched":
		file = "bench/models/cog_batch.py"
	}
	source, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "predict.py"), source, 0o600)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "cog.yaml"), []byte(text), 0o600)
	}
	return dir, err
}

func coggo(binary string) func(string, int, options) (*exec.Cmd, error) {
	return func(model string, port int, o options) (*exec.Cmd, error) {
		dir, err := modelDir(model, o)
		args := []string{
			"--host", "127.0.0.1", "--port", strconv.Itoa(port), "--python", python("coggo"),
		}
		if o.uploadURL != "" {
			args = append(args, "--upload-url", o.uploadURL)
		}
		args = append(args, strings.Fields(o.flags)...)
		return exec.Command(binary, append(args, dir)...), err
	}
}

// cogHTTP starts the server of a release of Cog, as the images of `cog build` do.
func cogHTTP(name string) func(string, int, options) (*exec.Cmd, error) {
	return func(model string, port int, o options) (*exec.Cmd, error) {
		dir, err := modelDir(model, o)
		args := []string{"-m", "cog.server.http", "--host", "127.0.0.1"}
		if o.uploadURL != "" {
			args = append(args, "--upload-url", o.uploadURL)
		}
		if err == nil {
			err = buildSchema(dir)
		}
		cmd := exec.Command(python(name), args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(),
			"PORT="+strconv.Itoa(port), "COG_PREDICT_TYPE_STUB=predict.py:"+model,
			"COG_LOG_LEVEL=warning", "COG_NO_UPDATE_CHECK=1",
			"PATH="+filepath.Dir(python(name))+":"+os.Getenv("PATH")) // coglet starts `python`
		if o.concurrency > 1 {
			cmd.Env = append(cmd.Env, "COG_MAX_CONCURRENCY="+strconv.Itoa(o.concurrency))
		}
		return cmd, err
	}
}

// buildSchema writes the schema to the file that `cog build` writes, because coglet reads there
// whether a model streams.
func buildSchema(dir string) error {
	cmd := exec.Command("bin/coggo-server", "schema", "--python", python("coggo"), dir)
	schema, err := cmd.Output()
	if err == nil {
		err = os.Mkdir(filepath.Join(dir, ".cog"), 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, ".cog", "openapi_schema.json"), schema, 0o600)
	}
	return err
}

func script(
	name string, args func(port int) []string,
) func(string, int, options) (*exec.Cmd, error) {
	return func(model string, port int, o options) (*exec.Cmd, error) {
		words := append([]string{"bench/models/" + name + "_models.py"}, args(port)...)
		cmd := exec.Command(python(name), words...)
		cmd.Env = append(os.Environ(), "MODEL="+model)
		return cmd, nil
	}
}

// server is a running system.
type server struct {
	*system
	cmd   *exec.Cmd
	wires wires
	began time.Time // of exec
}

// launch starts a system without waiting for it.
func (sys *system) launch(model string, o options) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	cmd, err := sys.command(model, port, o)
	if err != nil {
		return nil, err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	s := &server{
		system: sys, cmd: cmd, began: time.Now(),
		wires: wires{address: "127.0.0.1:" + strconv.Itoa(port)},
	}
	return s, cmd.Start()
}

// lastPort is below the ephemeral ports of the kernel, so that a connection does not take a port
// before its server listens.
var lastPort atomic.Int64

func freePort() (int, error) {
	for range 1000 {
		port := 20000 + int(lastPort.Add(1))%10000
		listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			return port, listener.Close()
		}
	}
	return 0, errors.New("no free port from 20000 to 30000")
}

// start returns when the system accepts predictions.
func (sys *system) start(model string, o options) (*server, error) {
	s, err := sys.launch(model, o)
	if err != nil {
		return nil, err
	}
	if err := s.await(5*time.Millisecond, time.Minute); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *server) await(every, limit time.Duration) error {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(every) {
		if s.ready(s) {
			return nil
		}
	}
	return fmt.Errorf("%s is not ready after %s", s.name, limit)
}

// stop ends the process group and waits for its first process.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() { _ = s.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(3 * time.Second):
	}
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	<-done
	s.wires.close()
	for _, dir := range []string{s.cmd.Dir, s.cmd.Args[len(s.cmd.Args)-1]} {
		if strings.HasPrefix(filepath.Base(dir), "bench-model-") {
			_ = os.RemoveAll(dir)
		}
	}
}

func saysReady(s *server) bool {
	body, err := s.get("/health-check")
	return err == nil && strings.Contains(body, `"READY"`)
}

func answers(path string) func(*server) bool {
	return func(s *server) bool {
		_, err := s.get(path)
		return err == nil
	}
}

// bareServer is net/http with an empty handler. It shows the cost of the load generator and of the
// loopback interface.
func bareServer(_ string, port int, _ options) (*exec.Cmd, error) {
	self, err := os.Executable()
	return exec.Command(self, "-serve", strconv.Itoa(port)), err
}

const bareAnswer = `{"status":"READY","output":"hello x",` +
	`"setup":{"started_at":"2026-01-02T03:04:05.000000Z",` +
	`"completed_at":"2026-01-02T03:04:05.100000Z","status":"succeeded","logs":""},` +
	`"version":{"coggo":"0.1.0","python":"3.11.7"},"concurrency":{"max":1,"current":0}}`

func serveBare(port string) error {
	answer := func(w http.ResponseWriter, r *http.Request) {
		buf := make([]byte, 512)
		for n := 1; n > 0; {
			n, _ = r.Body.Read(buf)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(bareAnswer))
	}
	return http.ListenAndServe("127.0.0.1:"+port, http.HandlerFunc(answer))
}
