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

// session is a model at work for one command: everything but HTTP.
type session struct {
	*built
	*console
	stop    *stop
	dir     *host.WorkingDir
	release func()
	begun   time.Time
}

// errInterrupted says that the person at the keyboard has had enough.
var errInterrupted = errors.New("interrupted")

// silent is above every level: what matters of a session is said by its command.
const silent = slog.LevelError + 1

// wholeHistory is a history of events without a limit; twice of it is an int still.
const wholeHistory = math.MaxInt / 2

// openSession starts the model. Standard output is the command's own: what the model prints goes to
// standard error.
func openSession(m Model) (*session, error) {
	s := &session{console: newConsole(), stop: newStop()}
	log := newLogger(m.Logging, s.console, s.terminal, silent)
	var err error
	if s.dir, err = host.OpenWorkingDir(Config{Model: m, Ephemeral: true}.dirConfig(), log); err != nil {
		return nil, err
	}
	// A reader of the output that is slow holds up the reading, and must miss nothing.
	c := Config{Model: m, Runners: 1, Recover: "fail", Retain: 1, Serving: Serving{RetainFor: span(time.Hour)}, History: wholeHistory}
	if s.built, err = build(c, s.dir, func(_ supervisor.Origin, text []byte) { _, _ = s.console.Write(text) }, false, log); err != nil {
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

// close ends what still runs, and leaves nothing behind.
func (s *session) close() {
	drain(time.Now(), s.built, s.stop)
	s.release()
	s.dir.Close()
}

// poll is how often a session looks how far the model is.
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

// notReady says why no prediction can be made. The traceback, or every problem of the signature, is
// on standard error already.
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
