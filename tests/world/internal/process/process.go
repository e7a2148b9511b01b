package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"iamdb.dev/world/internal/console"
)

// Spec is a process to be started. Its environment is exactly what is given here: nothing of the caller's credentials
// or settings reaches a part by accident.
type Spec struct {
	Name string
	Args []string
	Env  []string
	Dir  string
	Log  string
}

// Started is a process that is watched until it is ready.
type Started struct {
	spec Spec
	// ended is closed when the process is gone; exit is valid then.
	ended chan struct{}
	exit  error
}

// Start starts the process in a session of its own, so that it outlives this program and its terminal, and records it.
func (t Table) Start(spec Spec) (*Started, error) {
	for _, dir := range []string{t.Dir, filepath.Dir(spec.Log)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("start %s: %w", spec.Name, err)
		}
	}
	log, err := os.OpenFile(spec.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", spec.Name, err)
	}
	defer log.Close()

	cmd := exec.Command(spec.Args[0], spec.Args[1:]...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = spec.Env, spec.Dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	if err := t.record(spec.Name, cmd.Process.Pid); err != nil && !errors.Is(err, errNoProcess) {
		return nil, err
	}
	started := &Started{spec: spec, ended: make(chan struct{})}
	go func() {
		started.exit = cmd.Wait()
		close(started.ended)
	}()
	return started, nil
}

// UntilReady calls probe until it succeeds. It fails at once when the process ends, and when the time is up with the
// probe's last error.
func (s *Started) UntilReady(ctx context.Context, limit time.Duration, probe func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var last error
	for {
		attempt, cancelAttempt := context.WithTimeout(ctx, 5*time.Second)
		err := probe(attempt)
		cancelAttempt()
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		select {
		case <-s.ended:
			return &console.Failure{What: s.spec.Name + " ended at its start", Err: s.lastWords(), Log: s.spec.Log}
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return &console.Failure{What: fmt.Sprintf("%s was not ready after %s", s.spec.Name, limit), Err: last, Log: s.spec.Log}
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// lastWords is how the process ended and what it said about it.
func (s *Started) lastWords() error {
	line := LastWords(s.spec.Log)
	switch {
	case s.exit == nil && line == "":
		return errors.New("exit status 0")
	case s.exit == nil:
		return fmt.Errorf("exit status 0 (%s)", line)
	case line == "":
		return s.exit
	default:
		return fmt.Errorf("%w (%s)", s.exit, line)
	}
}
