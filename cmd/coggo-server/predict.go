package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/coggo/coggo/internal/files"
	"github.com/coggo/coggo/internal/host"
	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/schema"
	"github.com/coggo/coggo/internal/supervisor"
)

type predictCommand struct {
	Model

	Input  []string `group:"The prediction:" short:"i" sep:"none" placeholder:"NAME=VALUE" help:"An input. Repeat the flag for more inputs, and repeat a name for the items of a list; a list can also be JSON, such as []. NAME=@FILE gives a file, or its contents if the input is not a file. Write @@ for a leading @."`
	Output string   `group:"The prediction:" short:"o" placeholder:"PATH" help:"Write the output to this file, or its files to this directory. Default: standard output, and files in the current directory under their own names."`
	JSON   bool     `group:"The prediction:" help:"Print the whole prediction, as the API returns it."`
}

// Help returns the text below the flags.
func (c *predictCommand) Help() string {
	return `The output goes to standard output, item by item if the model yields; text that the model prints goes to standard error.
Ctrl-C cancels; pressed again, it kills a model that ignores the cancel.

Exit codes: 0 succeeded, 1 failed, 2 the input does not fit the model, 130 canceled.`
}

// Run runs the command.
func (c *predictCommand) Run(status *int) error {
	if err := c.complete(); err != nil {
		return err
	}
	c.printWarnings()
	if err := host.HideSecrets("", c.RunnerEnv); err != nil {
		return err
	}
	s, err := openSession(c.Model)
	if err != nil {
		return err
	}
	defer s.close()
	*status, err = c.predict(s)
	if errors.Is(err, errInterrupted) {
		*status, err = exitCanceled, nil
	}
	return err
}

// predict runs the prediction, and returns the exit code. It checks the input as soon as the model
// is imported, so that a typing error shows before a long setup.
func (c *predictCommand) predict(s *session) (int, error) {
	stop := s.timer("setting up the model")
	defer stop()
	document, err := s.loaded()
	if err != nil {
		return exitFailed, err
	}
	signature := signatureOf(document)
	input, err := readInputs(c.Input, signature, s.store)
	if err != nil {
		s.say("%v", err)
		return exitUsage, nil
	}
	request := prediction.Request{Method: prediction.Predict, Input: input.object(signature)}
	if _, problems := document.Predict().Check(request.Input); len(problems) > 0 {
		s.sayProblems(problems)
		return exitUsage, nil
	}
	if err := s.ready(); err != nil {
		return exitFailed, err
	}
	stop()
	local, err := c.local(s)
	if err != nil {
		return exitFailed, err
	}
	s.publisher.Local = local
	p, _, err := s.supervisor.Create(request, false)
	if err != nil {
		return exitFailed, err
	}
	out := &printer{
		to: s.stdout(), quiet: c.JSON || named(local),
		joined: signature.output.Display == "concatenate",
	}
	if !s.follow(p, out) {
		return exitCanceled, nil
	}
	snapshot := p.Snapshot()
	snapshot.Input = input.shown(snapshot.Input)
	if err := c.print(snapshot, out, local); err != nil {
		return exitFailed, err
	}
	return s.conclude(snapshot), nil
}

// named reports whether the output goes to one file.
func named(l *files.Local) bool { return l != nil && l.Name != "" }

// sayProblems describes problems of the input in the words of the command line.
func (s *session) sayProblems(problems []schema.Problem) {
	for _, p := range problems {
		s.say("-i %s: %s", p.Place(), p.Msg)
	}
}

// local returns where the files of the output go. nil leaves them in the output as data URLs.
func (c *predictCommand) local(s *session) (*files.Local, error) {
	l := &files.Local{Saved: func(path string) { s.say("wrote %s", path) }}
	switch info, err := os.Stat(c.Output); {
	case c.Output == "" && c.JSON:
		return nil, nil
	case c.Output == "":
	case err == nil && info.IsDir():
		l.Dir = c.Output
	case strings.HasSuffix(c.Output, "/"):
		l.Dir = c.Output
		return l, os.MkdirAll(c.Output, 0o777)
	default:
		l.Dir, l.Name = filepath.Split(c.Output)
	}
	return l, nil
}

// follow shows the prediction until its end. The first Ctrl-C cancels it. After the second, follow
// does not wait for a model that ignores the cancel: it returns false, and closing the session
// kills the model.
func (s *session) follow(p *prediction.Prediction, out *printer) bool {
	stop := s.timer("running")
	defer stop()
	asked := s.stop.asked
	for seen := 0; ; {
		events, _, more := p.After(seen)
		for _, e := range events {
			seen = e.Number
			if e.Kind == prediction.KindOutput {
				stop()
				out.item(e.Chunk().Append(nil))
			}
			if e.Kind == prediction.KindCompleted {
				return true
			}
		}
		select {
		case <-more:
		case <-asked:
			asked = nil
			s.say("canceling; press Ctrl-C again to kill the model")
			_ = s.supervisor.Cancel(p, supervisor.ByClient) // NotFound: it has just finished
		case <-s.stop.hurried:
			s.say("killed")
			return false
		}
	}
}

// print shows the rest of the output.
func (c *predictCommand) print(p prediction.Snapshot, out *printer, local *files.Local) error {
	switch {
	case c.JSON:
		_, err := fmt.Fprintf(out.to, "%s\n", p.AppendJSON(nil))
		return err
	case named(local) && local.Count == 0 && p.OutputLen() > 0:
		return os.WriteFile(c.Output, out.render(p.AppendOutput(nil)), 0o666)
	// The output is the name of the file that the user asked for.
	case named(local) && bytes.HasPrefix(p.Output.Raw, []byte{'"'}):
	default:
		out.end(p.AppendOutput(nil))
	}
	return nil
}

// conclude says how the prediction ended, and returns the exit code.
func (s *session) conclude(p prediction.Snapshot) int {
	switch p.Status {
	case prediction.Succeeded:
		if s.terminal {
			s.say("succeeded in %.1f s", p.CompletedAt.Sub(p.StartedAt).Seconds())
		}
		return exitOK
	case prediction.Canceled:
		s.say("%s", cmp.Or(p.Error, "canceled"))
		return exitCanceled
	default:
		s.say("the prediction failed: %s", p.Error)
		return exitFailed
	}
}

// printer writes the output to standard output.
type printer struct {
	to     io.Writer
	quiet  bool // do not print: the output goes elsewhere
	joined bool // items are pieces of one text
	items  int  // printed so far
	inLine bool
}

// item prints one item of an iterator at once.
func (o *printer) item(value json.RawMessage) {
	if o.quiet {
		return
	}
	o.items++
	text := o.render(value)
	if o.joined {
		text = plain(value)
	}
	o.write(text)
}

func (o *printer) write(text []byte) {
	if len(text) == 0 {
		return
	}
	o.inLine = text[len(text)-1] != '\n'
	_, _ = o.to.Write(text) // if the reader has gone, SIGPIPE ends the process
}

// end prints the output, unless its items are already printed.
func (o *printer) end(output json.RawMessage) {
	if o.items == 0 && string(output) != "null" {
		o.write(o.render(output))
	}
	if o.inLine {
		o.write([]byte("\n"))
	}
}

// render formats a value for people: strings as plain text, everything else as JSON.
func (o *printer) render(value json.RawMessage) []byte {
	var items []string
	if o.joined && json.Unmarshal(value, &items) == nil {
		return []byte(strings.Join(items, "") + "\n")
	}
	if string(value) == "null" {
		return nil
	}
	return append(plain(value), '\n')
}

func plain(value json.RawMessage) []byte {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return []byte(text)
	}
	var out bytes.Buffer
	_ = json.Indent(&out, value, "", "  ") // it is valid JSON
	return out.Bytes()
}
