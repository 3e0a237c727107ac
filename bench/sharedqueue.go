package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
)

// queueName is the name of the model of each fleet: each has a broker of its own.
const queueName = "bench/queue"

// sharedQueue is a queue: a broker, workers and a gateway.
type sharedQueue struct {
	binary  string
	options sharedOptions
	broker  *server
	workers []*server
	gateway *server
	store   string
	nc      *nats.Conn
}

// launchAlone starts a server without a queue.
func launchAlone(binary string, o sharedOptions) (*server, error) {
	dir, err := modelDir(o.class, options{concurrency: o.concurrency})
	if err != nil {
		return nil, err
	}
	return launch(binary, saysReady, "--max-queue", "1000000", "--python", modelPython(), dir)
}

// launch starts a server that serves HTTP, and waits for it.
func launch(binary string, ready func(*server) bool, flags ...string) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	command := []string{"--host", "127.0.0.1", "--port", strconv.Itoa(port), "--log-level", "error"}
	if flags[0] == "gateway" {
		command, flags = append([]string{"gateway"}, command...), flags[1:]
	}
	s := child(exec.Command(binary, append(command, flags...)...), port, ready)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	return s, s.await(5*time.Millisecond, time.Minute)
}

func child(cmd *exec.Cmd, port int, ready func(*server) bool) *server {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	return &server{
		system: &system{name: filepath.Base(cmd.Path), path: "/predictions", ready: ready}, cmd: cmd,
		began: time.Now(), wires: wires{address: "127.0.0.1:" + strconv.Itoa(port)},
	}
}

// startShared starts a queue. Without workers, one is started for a moment, so that the gateway
// knows the model.
func startShared(binary string, o sharedOptions) (f *sharedQueue, err error) {
	f = &sharedQueue{binary: binary, options: o}
	if err := f.startBroker(); err != nil {
		return nil, err
	}
	for range max(1, o.workers) {
		if err := f.addWorker(); err != nil {
			return nil, err
		}
	}
	f.gateway, err = launch(binary, saysReady,
		"gateway", "--queue", f.url(), "--name", queueName, "--max-queue", "1000000")
	if err == nil && o.workers == 0 {
		err = f.removeWorkers()
	}
	return f, err
}

func (f *sharedQueue) url() string { return "nats://" + f.broker.wires.address }

func (f *sharedQueue) startBroker() (err error) {
	broker, err := program("nats-server")
	if err != nil {
		return err
	}
	port, err := freePort()
	if err == nil {
		f.store, err = os.MkdirTemp("", "bench-broker-")
	}
	if err != nil {
		return err
	}
	cmd := exec.Command(broker, "-js", "-sd", f.store, "-a", "127.0.0.1",
		"-p", strconv.Itoa(port), "-l", os.DevNull)
	f.broker = child(cmd, port, func(*server) bool {
		f.nc, err = nats.Connect(f.url())
		return err == nil
	})
	if err := f.broker.cmd.Start(); err != nil {
		return err
	}
	return f.broker.await(5*time.Millisecond, time.Minute)
}

func (f *sharedQueue) addWorker() error {
	dir, err := modelDir(f.options.class, options{concurrency: f.options.concurrency})
	if err != nil {
		return err
	}
	w, err := launch(f.binary, saysReady, "--queue", f.url(), "--name", queueName, "--python", modelPython(), dir)
	f.workers = append(f.workers, w)
	return err
}

func (f *sharedQueue) removeWorkers() error {
	for _, w := range f.workers {
		w.stop()
	}
	f.workers = nil
	return nil
}

func (f *sharedQueue) stop() {
	if f.gateway != nil {
		f.gateway.stop()
	}
	_ = f.removeWorkers()
	f.nc.Close()
	f.broker.stop()
	_ = os.RemoveAll(f.store)
}

// memory returns the resident memory of the broker in KiB.
func (f *sharedQueue) memory() int {
	return field([]int{f.broker.cmd.Process.Pid}, "status", "VmRSS")
}

// left returns how many predictions have not ended. It asks the broker.
func (f *sharedQueue) left() (int, error) {
	m, err := f.nc.Request("$JS.API.STREAM.INFO.COGGO_Q", nil, 5*time.Second)
	if err != nil {
		return 0, err
	}
	var info struct {
		State struct{ Messages int }
	}
	err = json.Unmarshal(m.Data, &info)
	return info.State.Messages, err
}

// purge takes everything off the queue.
func (f *sharedQueue) purge() error {
	_, err := f.nc.Request("$JS.API.STREAM.PURGE.COGGO_Q", nil, 30*time.Second)
	return err
}

// loseWorker kills the worker that runs a prediction, and returns the seconds until another one has
// claimed it.
func (f *sharedQueue) loseWorker(gateway *server) (float64, error) {
	claims := make(chan *nats.Msg, 16)
	sub, err := f.nc.ChanSubscribe("coggo.s.>", claims)
	if err != nil {
		return 0, err
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection may be closed
	nextID++
	path := fmt.Sprintf("/predictions/bench%d", nextID)
	if _, err := gateway.send("PUT", path, `{"input": {"seconds": 60}}`, "Prefer", "respond-async"); err != nil {
		return 0, err
	}
	if err := awaitClaim(claims, "1"); err != nil {
		return 0, err
	}
	for i, w := range f.workers {
		if n, err := w.inFlight(); err != nil || n == 0 {
			continue
		}
		began := time.Now()
		_ = w.cmd.Process.Kill()
		err := awaitClaim(claims, "2")
		late := time.Since(began).Seconds()
		f.workers = append(f.workers[:i], f.workers[i+1:]...)
		w.stop()
		_, canceled := gateway.send("POST", path+"/cancel", "")
		return late, errors.Join(err, canceled, f.addWorker())
	}
	return 0, errors.New("no worker runs the prediction")
}

// awaitClaim waits for the claim with this number.
func awaitClaim(claims <-chan *nats.Msg, attempt string) error {
	late := time.After(time.Minute)
	for {
		select {
		case m := <-claims:
			if m.Header.Get("Coggo-State") == "claimed" && m.Header.Get("Coggo-Attempt") == attempt {
				return nil
			}
		case <-late:
			return errors.New("nobody has claimed the prediction for a minute")
		}
	}
}
