package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"time"
)

func (f *fleet) startDriver() error {
	cmd := exec.Command(python(f.name), "driver.py", f.client)
	cmd.Dir = "bench/queue"
	var err error
	if f.in, err = cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	f.out = bufio.NewReader(out)
	if err := f.start("driver", cmd); err != nil {
		return err
	}
	f.driver = cmd
	_, err = f.out.ReadString('\n')
	if err != nil {
		return fmt.Errorf("its client: %w: %s", err, f.log("driver"))
	}
	return nil
}

// fields are the members of a command to the client.
type fields map[string]any

// ask tells the client to do something, and reads its answer.
func (f *fleet) ask(do string, given fields, answer any) error {
	if given == nil {
		given = fields{}
	}
	given["do"] = do
	line, err := json.Marshal(given)
	if err != nil {
		return err
	}
	if _, err := f.in.Write(append(line, '\n')); err != nil {
		return err
	}
	// Every command has a limit of less; this is for a client that hangs.
	late := time.AfterFunc(10*time.Minute, func() { _ = f.driver.Process.Kill() })
	defer late.Stop()
	text, err := f.out.ReadString('\n')
	if err != nil {
		return fmt.Errorf("%s: the client ended: %w: %s", do, err, f.log("driver"))
	}
	var failed struct{ Error string }
	if err := json.Unmarshal([]byte(text), &failed); err != nil {
		return err
	}
	if failed.Error != "" {
		return fmt.Errorf("%s: %s", do, failed.Error)
	}
	return json.Unmarshal([]byte(text), answer)
}

// warm lets tasks run until each worker has had one.
func (f *fleet) warm() error {
	ready := [2]bool{}
	for try := range 300 {
		names := []string{fmt.Sprintf("warm%d-0", try), fmt.Sprintf("warm%d-1", try)}
		if _, err := f.finish(names, 0.1, 60); err != nil {
			return err
		}
		for n := range ready {
			pids := f.processes(n)
			ready[n] = ready[n] || slices.ContainsFunc(f.runs(), func(r taskRun) bool { return r.of(pids) })
		}
		if ready[0] && ready[1] || f.inner != "" && (ready[0] || ready[1]) { // the kernel may prefer one
			return nil
		}
	}
	return errors.New("a worker runs nothing: " + f.log("worker0") + f.log("worker1"))
}

// finish runs tasks to their ends.
func (f *fleet) finish(names []string, seconds, limit float64) (map[string]string, error) {
	var done struct{ Ends map[string]string }
	err := f.ask("begin", fields{"names": names, "seconds": seconds}, &done)
	if err == nil {
		err = f.ask("ends", fields{"names": names, "limit": limit}, &done)
	}
	return done.Ends, err
}
