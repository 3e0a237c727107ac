package main

import (
	"os"
	"os/exec"

	"github.com/coggo/coggo/internal/runner"
)

// printSchema prints the OpenAPI document of the model and returns the exit status: the model is loaded, not set up.
func printSchema(c Config) (int, error) {
	cmd := exec.Command(c.Python, "-m", "cog.command.openapi_schema", c.Predict)
	cmd.Dir = c.ModelDir
	cmd.Env = runner.WithPythonPath(modelEnv(os.Environ()), pythonPath())
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		return 1, err
	}
	return cmd.ProcessState.ExitCode(), nil
}
