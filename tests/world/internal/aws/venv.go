// Package aws prepares and runs the AWS launcher.
package aws

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"iamdb.dev/world/internal/cache"
	"iamdb.dev/world/internal/command"
	"iamdb.dev/world/internal/console"
)

const (
	source       = "tests/world/aws"
	requirements = source + "/requirements.txt"
)

// Python answers an interpreter that has what the launcher requires, in a virtual environment of its own.
func Python(ctx context.Context, c cache.Cache, root string) (string, error) {
	const remedy = "install Python 3.11 or newer with its venv module (Debian's packages python3 and python3-venv)"
	out, err := command.Output(ctx, "python3", "-c", "import sys; print(sys.version, sys.prefix)")
	if err != nil {
		return "", &console.Failure{What: "cannot run python3", Err: err, Remedy: remedy}
	}
	digest, err := cache.Digest(root, []string{out}, requirements)
	if err != nil {
		return "", err
	}
	entry, err := c.Entry(ctx, "python", digest, func(dir string) error {
		environment := command.Command{
			What: "make a Python environment", Args: []string{"python3", "-m", "venv", dir}, Log: dir + ".venv.log", Remedy: remedy,
		}
		if err := environment.Run(ctx); err != nil {
			return err
		}
		return command.Command{
			What: "install the AWS launcher's Python packages",
			// As a module: the scripts of an environment carry the path at which it was made, and the cache renames it.
			Args: []string{
				filepath.Join(dir, "bin", "python"), "-m", "pip", "install", "--disable-pip-version-check", "--require-hashes",
				"--only-binary", ":all:", "--requirement", filepath.Join(root, requirements),
			},
			Log: dir + ".pip.log", Remedy: "check that pip reaches its package index",
		}.Run(ctx)
	})
	if err != nil {
		return "", err
	}
	python := filepath.Join(entry, "bin", "python")
	if _, err := os.Stat(python); err != nil {
		return "", &console.Failure{
			What: "the Python environment has lost its interpreter", Err: err, Remedy: fmt.Sprintf("remove %s", entry),
		}
	}
	return python, nil
}
