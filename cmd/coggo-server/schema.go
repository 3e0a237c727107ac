package main

import (
	"os"
	"os/exec"

	"github.com/coggo/coggo/internal/host"
	"github.com/coggo/coggo/internal/runner"
)

type schemaCommand struct{ Model }

// Run prints the OpenAPI document of the model. It loads the model, but does not set it up.
func (c *schemaCommand) Run(status *int) error {
	if err := c.complete(); err != nil {
		return err
	}
	c.printWarnings()
	if err := host.HideSecrets("", c.RunnerEnv); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", host.EphemeralPrefix)
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }() // on the way out, with nobody to report to
	path, err := host.PythonPath(c.Python, work)
	if err != nil {
		return err
	}
	refs := []string{c.Model.Predict}
	if c.Named == "run" {
		refs = []string{"--run", c.Model.Predict}
	}
	if c.Train != "" {
		refs = append(refs, c.Train)
	}
	cmd := exec.Command(c.Python, append(runner.Program("cog.command.openapi_schema"), refs...)...)
	cmd.Dir = c.ModelDir
	cmd.Env = runner.Environment(host.ModelEnv(os.Environ(), c.RunnerEnv), path, c.Packages)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		return err
	}
	*status = cmd.ProcessState.ExitCode()
	return nil
}
