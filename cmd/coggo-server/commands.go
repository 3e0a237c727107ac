package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/alecthomas/kong"
)

// commands is the command line. What follows no command is for serve, as it always was.
type commands struct {
	Serve   serveCommand     `cmd:"" default:"withargs" help:"Serve a model over HTTP. This is what happens without a command."`
	Predict predictCommand   `cmd:"" help:"Run one prediction, without a server."`
	Check   checkCommand     `cmd:"" help:"Load and set up a model, and say what is wrong with it."`
	Init    initCommand      `cmd:"" help:"Make a small model to begin with."`
	Schema  schemaCommand    `cmd:"" help:"Print the OpenAPI document of a model."`
	Version kong.VersionFlag `help:"Print the version and exit."`
}

const description = `Run a Cog model.

  coggo-server init mine                            make a model to begin with
  coggo-server examples/hello                       serve it on port 5000
  coggo-server predict examples/hello -i name=you   run it once
  coggo-server check examples/hello                 look whether it is well`

// Exit codes of the commands that end by themselves.
const (
	exitOK       = 0
	exitFailed   = 1 // the model, or the server
	exitUsage    = 2 // what was asked for
	exitCanceled = 130
)

// newParser knows the whole command line.
func newParser(c *commands) (*kong.Kong, error) {
	return kong.New(c,
		kong.Name("coggo-server"),
		kong.Description(description),
		kong.Vars{"version": "coggo-server " + version},
		kong.Help(printHelp),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 110}),
	)
}

// printHelp adds what serve takes to the help of the whole, since serve needs not be said.
func printHelp(options kong.HelpOptions, shown *kong.Context) error {
	if err := kong.DefaultHelpPrinter(options, shown); err != nil || shown.Selected() != nil {
		return err
	}
	serve, err := kong.Trace(shown.Kong, []string{"serve"})
	if err != nil {
		return err
	}
	fmt.Fprintln(shown.Stdout)
	return kong.DefaultHelpPrinter(options, serve)
}

// execute does what args ask for and returns the exit code. It exits by itself for --help and --version.
func execute(args []string) (int, error) {
	var c commands
	parser, err := newParser(&c)
	if err != nil {
		return exitFailed, err
	}
	if err := unsetEmpty(parser); err != nil {
		return exitFailed, err
	}
	chosen, err := parser.Parse(joinSwitch(args, "--await-explicit-shutdown"))
	if err != nil {
		return exitFailed, fmt.Errorf("%w; see coggo-server --help", err)
	}
	status := exitOK
	if err := chosen.Run(&status); err != nil {
		return exitFailed, err
	}
	return status, nil
}

// unsetEmpty makes a variable that is set to nothing, as compose files and manifests often do, count as one that is not set.
func unsetEmpty(parser *kong.Kong) error {
	return kong.Visit(parser.Model, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok {
			for _, name := range flag.Envs {
				if os.Getenv(name) == "" {
					_ = os.Unsetenv(name) // the name is one of ours
				}
			}
		}
		return next(nil)
	})
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

// complain tells the person at the command line.
func complain(format string, args ...any) {
	o := newOutlet(os.Stderr, new(sync.Mutex))
	_, _ = fmt.Fprintf(o, "coggo-server: "+format+"\n", args...) // nobody to tell
	o.flush()
}
