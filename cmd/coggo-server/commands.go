package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/alecthomas/kong"

	"github.com/coggo/coggo/internal/host"
)

// commands is the command line. Arguments without a command belong to serve.
type commands struct {
	Serve   serveCommand     `cmd:"" default:"withargs" help:"Serve a model over HTTP. This is what happens without a command."`
	Predict predictCommand   `cmd:"" help:"Run one prediction, without a server."`
	Check   checkCommand     `cmd:"" help:"Load and set up a model, and report its problems."`
	Init    initCommand      `cmd:"" help:"Make a small model to start from."`
	Gateway gatewayCommand   `cmd:"" help:"Serve the predictions of a queue, without a model of its own."`
	Schema  schemaCommand    `cmd:"" help:"Print the OpenAPI document of a model."`
	Help    helpCommand      `cmd:"" help:"Show the flags of a command."`
	Version kong.VersionFlag `help:"Print the version and exit."`
}

const description = `Run a Cog model.

  coggo-server init mine                            make a small model to start from
  coggo-server examples/hello                       serve it on port 5000
  coggo-server predict examples/hello -i name=you   run it once
  coggo-server check examples/hello                 find out what is wrong with it`

// Exit codes of the commands that end by themselves.
const (
	exitOK       = 0
	exitFailed   = 1 // the model, or the server
	exitUsage    = 2 // wrong flags, model directory, cog.yaml or input
	exitCanceled = 130
)

// newParser makes the parser of the whole command line.
func newParser(c *commands) (*kong.Kong, error) {
	return kong.New(c,
		kong.Name("coggo-server"),
		kong.Description(description),
		kong.Vars{"version": "coggo-server " + version},
		kong.Help(printHelp),
		kong.ValueFormatter(withDefault),
		kong.ConfigureHelp(kong.HelpOptions{
			Compact: true, NoExpandSubcommands: true, WrapUpperBound: 110,
		}),
	)
}

// printHelp appends the flags of serve to the general help, because "serve" may be omitted.
func printHelp(options kong.HelpOptions, shown *kong.Context) error {
	if err := kong.DefaultHelpPrinter(options, shown); err != nil || shown.Selected() != nil {
		return err
	}
	serve, err := kong.Trace(shown.Kong, []string{"serve"})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(shown.Stdout); err != nil {
		return err
	}
	return kong.DefaultHelpPrinter(options, serve)
}

// execute runs the command in args, and returns the exit code. It exits the process for --help and
// --version.
func execute(args []string) (int, error) {
	var c commands
	parser, err := newParser(&c)
	if err != nil {
		return exitFailed, err
	}
	if err := unsetEmpty(parser); err != nil {
		return exitFailed, err
	}
	if err := misspelt(parser, args); err != nil {
		return exitUsage, err
	}
	chosen, err := parser.Parse(joinSwitch(args, "--await-explicit-shutdown"))
	if err != nil {
		return exitUsage, inOurWords(err)
	}
	status := exitOK
	if err := chosen.Run(&status); errors.As(err, new(usageError)) {
		return exitUsage, err
	} else if err != nil {
		return exitFailed, err
	}
	return status, nil
}

// usageError is a mistake of the user, not a failure of the command.
type usageError struct{ error }

func usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

// Unwrap returns the error itself.
func (e usageError) Unwrap() error { return e.error }

// seeHelp appends a hint to the help.
func seeHelp(text string) string {
	if strings.HasSuffix(text, "?") {
		return text + " See coggo-server --help"
	}
	return text + "; see coggo-server --help"
}

// inOurWords rewords errors of the parser, which calls the end of the command line EOL.
func inOurWords(err error) error {
	text := err.Error()
	flag, _, ok := strings.Cut(text, `: expected `)
	if ok && strings.HasSuffix(text, `got "EOL" (<EOL>)`) {
		text = flag + ": the value is missing"
	}
	return errors.New(seeHelp(text))
}

// misspelt refuses a first word that is neither a command nor a model. The parser would take any
// word for a model directory.
func misspelt(parser *kong.Kong, args []string) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") ||
		isCommand(parser, args[0]) || host.Exists(args[0]) {
		return nil
	}
	return errors.New(seeHelp(
		args[0] + " is neither a command nor a model directory" + closest(parser, args[0])))
}

func isCommand(parser *kong.Kong, word string) bool {
	return slices.ContainsFunc(parser.Model.Children, func(n *kong.Node) bool {
		return n.Name == word
	})
}

// closest returns the parser's own suggestion for a command. Because the parser makes none while
// there is a default command, closest removes that: the parser must not be used afterwards.
func closest(parser *kong.Kong, word string) string {
	parser.Model.DefaultCmd = nil
	traced, err := kong.Trace(parser, []string{word})
	if err != nil || traced.Error == nil {
		return ""
	}
	if _, suggestion, found := strings.Cut(traced.Error.Error(), ", did you mean "); found {
		return ", did you mean " + suggestion
	}
	return ""
}

type helpCommand struct {
	Command string `arg:"" optional:"" help:"The command. Default: all of them."`
}

// Run prints the help as --help does, which exits the process.
func (c *helpCommand) Run(chosen *kong.Context) error {
	words := []string{"--help"}
	if c.Command != "" {
		if !isCommand(chosen.Kong, c.Command) {
			return usage(errors.New(seeHelp(
				"there is no command " + c.Command + closest(chosen.Kong, c.Command))))
		}
		words = []string{c.Command, "--help"}
	}
	_, err := chosen.Kong.Parse(words)
	return err
}

// withDefault returns the help of a flag. It appends the default if the placeholder takes its
// place.
func withDefault(value *kong.Value) string {
	help := kong.DefaultHelpValueFormatter(value)
	if value.Default != "" && value.Flag != nil && value.Flag.PlaceHolder != "" {
		help += fmt.Sprintf(" Default: %s.", value.Default)
	}
	return help
}

// sourceOf returns what has set a flag: "from --port", "from PORT", or "the default".
func sourceOf(chosen *kong.Context, name string) string {
	source := "the default"
	for _, flag := range chosen.Flags() {
		if flag.Name != name {
			continue
		}
		set := func(variable string) bool { return os.Getenv(variable) != "" }
		if i := slices.IndexFunc(flag.Envs, set); i >= 0 {
			source = "from " + flag.Envs[i]
		}
		if slices.ContainsFunc(chosen.Path, func(p *kong.Path) bool { return p.Flag == flag }) {
			source = "from --" + name
		}
	}
	return source
}

// unsetEmpty unsets variables that are set to nothing, as compose files and manifests often do.
func unsetEmpty(parser *kong.Kong) error {
	return kong.Visit(parser.Model, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok {
			for _, name := range flag.Envs {
				if os.Getenv(name) == "" {
					_ = os.Unsetenv(name) // the name is valid
				}
			}
		}
		return next(nil)
	})
}

// joinSwitch lets a switch take its value from the next word, as in Cog's own server.
func joinSwitch(args []string, name string) []string {
	out := slices.Clone(args)
	for i := 0; i+1 < len(out); i++ {
		value := strings.ToLower(out[i+1])
		if out[i] == name && (value == "true" || value == "false") {
			return append(append(out[:i:i], name+"="+value), out[i+2:]...)
		}
	}
	return out
}

// printError writes an error for the user of the command line.
func printError(format string, args ...any) {
	o := host.NewOutlet(os.Stderr, new(sync.Mutex), false)
	_, _ = fmt.Fprintf(o, "coggo-server: "+format+"\n", args...) // a failed write can't be reported
	o.Flush()
}
