package main

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/coggo/coggo/internal/host"
	"github.com/coggo/coggo/internal/pool"
	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/schema"
	"github.com/coggo/coggo/internal/supervisor"
)

// session runs a model for one command: the server without HTTP.
type session struct {
	*built
	*console
	stop    *stop
	dir     *host.WorkingDir
	release func()
	begun   time.Time
}

// errInterrupted says that the user has pressed Ctrl-C.
var errInterrupted = errors.New("interrupted")

// silent is above every level, because the command itself reports what matters.
const silent = slog.LevelError + 1

// wholeHistory is in effect no limit on the events of a prediction. Twice its value fits an int.
const wholeHistory = math.MaxInt / 2

// openSession starts the model. Standard output is for the command's output, so the model's goes to
// standard error.
func openSession(m Model) (*session, error) {
	s := &session{console: newConsole(), stop: newStop()}
	log := newLogger(m.Logging, s.console, s.terminal, silent)
	var err error
	dirConfig := Config{Model: m, Ephemeral: true}.dirConfig()
	if s.dir, err = host.OpenWorkingDir(dirConfig, log); err != nil {
		return nil, err
	}
	// A slow reader of the output holds up the reading of events, and must miss nothing.
	c := Config{
		Model: m, Runners: 1, Recover: "fail",
		Retain: 1, Serving: Serving{RetainFor: span(time.Hour), History: wholeHistory},
	}
	output := func(_ supervisor.Origin, text []byte) { _, _ = s.console.Write(text) }
	if s.built, err = build(c, s.dir, output, false, log); err != nil {
		s.dir.Close()
		return nil, err
	}
	s.release = watchSignals(s.supervisor, s.stop, false, log)
	s.begun = time.Now()
	if err := s.supervisor.Start(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// close ends everything that still runs, and leaves nothing behind.
func (s *session) close() {
	drain(time.Now(), s.built, s.stop)
	s.release()
	s.dir.Close()
}

// poll is how often a session checks the progress of the model.
const poll = 5 * time.Millisecond

// loaded returns the model's document as soon as it is imported.
func (s *session) loaded() (*schema.Document, error) {
	var document *schema.Document
	err := s.until(func() bool {
		var err error
		document, err = s.supervisor.Schema()
		return err == nil
	})
	return document, err
}

// ready returns once the model is set up.
func (s *session) ready() error {
	return s.until(func() bool { return s.supervisor.Status() == pool.Ready })
}

func (s *session) until(ok func() bool) error {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for !ok() {
		if status := s.supervisor.Status(); status != pool.Starting && !ok() {
			return s.notReady()
		}
		select {
		case <-ticker.C:
		case <-s.stop.asked:
			return errInterrupted
		}
	}
	return nil
}

// notReady returns why the model can't run predictions. The traceback, or every problem of the
// signature, is on standard error already.
func (s *session) notReady() error {
	if s.supervisor.SetupResult().Refused() {
		return errors.New("the model can't be served as it is written")
	}
	_, _, err := s.supervisor.Create(prediction.Request{Method: prediction.Predict}, false)
	if refused, ok := errors.AsType[*prediction.Error](err); ok {
		return errors.New(refused.Message)
	}
	return fmt.Errorf("the model is %s", s.supervisor.Status())
}
