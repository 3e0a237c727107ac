package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/coggo/coggo/internal/host"
	"github.com/coggo/coggo/internal/pool"
)

type checkCommand struct {
	Model

	Strict bool `help:"Fail on warnings too: they name oddities of a model that works."`
}

// Help returns the text below the flags.
func (c *checkCommand) Help() string {
	return `It imports the model, checks every input, default and output type, runs setup() and healthcheck(), and stops.

Exit codes: 0 all is well, 1 there are problems, or with --strict warnings, 130 interrupted.`
}

// Run runs the command.
func (c *checkCommand) Run(status *int) error {
	if err := c.complete(); errors.As(err, new(manifestError)) {
		reportProblems(status, "cog.yaml\n"+err.Error())
		return nil
	} else if err != nil {
		return err
	}
	if err := host.HideSecrets("", c.RunnerEnv); err != nil {
		return err
	}
	c.Checking = true
	row("model", "%s in %s", c.Model.Predict, c.ModelDir)
	for _, warning := range c.Warnings {
		row("warning", "%s", warning)
	}
	if err := checkPython(c.Python, host.ModelEnv(os.Environ(), c.RunnerEnv)); err != nil {
		reportProblems(status, err.Error())
		return nil
	}
	s, err := openSession(c.Model)
	if err != nil {
		return err
	}
	defer s.close()
	problem := s.check()
	if problem.interrupted {
		*status = exitCanceled
		return nil
	}
	document, _ := s.supervisor.Schema()
	warnings := slices.Concat(
		s.supervisor.SetupResult().Warnings, exampleWarnings(c.ModelDir, document))
	if len(warnings) > 0 {
		row("warnings", "%s", indented(strings.Join(warnings, "\n")))
	}
	if problem.text != "" {
		reportProblems(status, problem.stage+"\n"+problem.text)
		return nil
	}
	switch count := len(c.Warnings) + len(warnings); {
	case count == 0:
		row("result", "all is well")
	case c.Strict:
		*status = exitFailed
		row("result", "there are warnings, and --strict is given")
	default:
		row("result", "it works, with warnings")
	}
	return nil
}

// reportProblems ends the report of a model that can't be served.
func reportProblems(status *int, text string) {
	*status = exitFailed
	row("problems", "%s", indented(text))
	row("result", "the model can't be served as it is")
}

// indented indents several lines for the report.
func indented(text string) string {
	return strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+strings.Repeat(" ", rowIndent))
}

// checkPython checks that the interpreter can run the runner.
func checkPython(python string, env []string) error {
	cmd := exec.Command(python, "-c", "import sys; print('%d %d %d' % sys.version_info[:3])")
	cmd.Env = env
	out, err := cmd.Output()
	var major, minor, micro int
	if err == nil {
		_, err = fmt.Sscan(string(out), &major, &minor, &micro)
	}
	if err != nil {
		return fmt.Errorf("%s is not a working Python interpreter (%w): name another with --python",
			python, reasonOf(err))
	}
	row("python", "%d.%d.%d, %s", major, minor, micro, python)
	if major != 3 || minor < oldestPython {
		return fmt.Errorf(
			"this is Python %d.%d, it must be 3.%d or newer: name another with --python",
			major, minor, oldestPython)
	}
	return nil
}

// oldestPython is the oldest minor version of Python 3 that the runner supports.
const oldestPython = 9

// problem is the reason why a model can't be served: the stage that failed, and every problem of
// that stage.
type problem struct {
	stage, text string
	interrupted bool
}

// check prints its findings as it goes.
func (s *session) check() problem {
	stop := s.timer("importing the model")
	defer stop()
	document, err := s.loaded()
	if err != nil {
		return s.problem(err)
	}
	row("import", "%s, start of Python included", seconds(stop()))
	predict := signatureOf(document)
	predict.print("inputs", "output")
	if train, ok := trainingOf(document); ok {
		train.print("training", "trained")
	}
	stop = s.timer("setting up the model")
	defer stop()
	if err := s.ready(); err != nil {
		return s.problem(err)
	}
	row("setup", "%s", seconds(stop()))
	result := s.supervisor.SetupResult()
	row("runs", "%d at a time", result.MaxConcurrency)
	if batch := result.Batch; batch != nil {
		row("batch", "up to %d in one call, which waits up to %g ms for them",
			batch.MaxSize, 1000*batch.Wait)
	}
	if h := s.supervisor.Health(context.Background()); h.Status == pool.Unhealthy {
		return problem{stage: "healthcheck", text: h.Unhealthy}
	}
	if result.Healthcheck {
		row("health", "healthcheck says that it is well")
	}
	return problem{}
}

// problem returns the runner's report of a failed start, with the traceback of an exception.
func (s *session) problem(err error) problem {
	if errors.Is(err, errInterrupted) {
		return problem{interrupted: true}
	}
	result := s.supervisor.SetupResult()
	text := cmp.Or(result.Traceback, result.Error, err.Error())
	return problem{stage: cmp.Or(result.Stage, "setup"), text: text}
}

// print shows the inputs and the output of a method.
func (s signature) print(inputs, output string) {
	indent := strings.Repeat(" ", rowIndent)
	row(inputs, "%s", strings.TrimSpace(s.table(indent)))
	row(output, "%s", strings.TrimSpace(s.output.kind()+"\n"+s.output.shape(indent+"  ")))
	if s.output.ArrayType == "iterator" {
		row("streams", "each item as it comes")
	}
}

// rowIndent is the column of the values in the report.
const rowIndent = 10

func row(name, format string, args ...any) {
	fmt.Printf("%-*s%s\n", rowIndent, name, fmt.Sprintf(format, args...))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
