// Package command runs the tools that build and prepare a world, with their output in a log.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"iamdb.dev/world/internal/console"
	"iamdb.dev/world/internal/process"
)

// Command is one run of a tool.
type Command struct {
	// What is being done, as a failure names it: "build the control plane".
	What string
	Args []string
	// Env is added to the environment of this program.
	Env   []string
	Dir   string
	Stdin io.Reader
	Log   string
	// Remedy is what to do when it fails.
	Remedy string
}

// Run runs it to its end.
func (c Command) Run(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(c.Log), 0o755); err != nil {
		return c.failed(err)
	}
	log, err := os.Create(c.Log)
	if err != nil {
		return c.failed(err)
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Dir, c.Stdin, log, log
	// Tools such as cargo and mvn tidy up after SIGTERM, and end their children.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", c.What, ctx.Err())
		}
		if line := process.LastWords(c.Log); line != "" {
			err = fmt.Errorf("%w (%s)", err, line)
		}
		return c.failed(err)
	}
	return nil
}

func (c Command) failed(err error) error {
	return &console.Failure{What: "cannot " + c.What, Err: err, Log: c.Log, Remedy: c.Remedy}
}

// Output runs a tool that only tells something, and answers what it wrote.
func Output(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if ctx.Err() != nil {
		// Killed because something else failed: that is no news of its own.
		return "", fmt.Errorf("run %s: %w", name, ctx.Err())
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%w (%s)", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return strings.TrimSpace(string(out)), err
}
