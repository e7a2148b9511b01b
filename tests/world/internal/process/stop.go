package process

import (
	"errors"
	"fmt"
	"syscall"
	"time"
)

// Stop ends the recorded process if it is still ours: TERM, and KILL after the grace period. A process that is gone, or
// whose id now belongs to somebody else, is only forgotten.
func (t Table) Stop(name string, grace time.Duration) error {
	pid, now := t.recorded(name)
	if now == gone {
		return t.forget(name)
	}
	if err := t.signal(name, pid, syscall.SIGTERM); err != nil {
		return err
	}
	if !t.goneWithin(name, grace) {
		if err := t.signal(name, pid, syscall.SIGKILL); err != nil {
			return err
		}
		if !t.goneWithin(name, 10*time.Second) {
			return fmt.Errorf("%s (process %d) is still there after KILL", name, pid)
		}
	}
	return t.forget(name)
}

func (t Table) signal(name string, pid int, signal syscall.Signal) error {
	if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("send %s to %s (process %d): %w", signal, name, pid, err)
	}
	return nil
}

func (t Table) goneWithin(name string, limit time.Duration) bool {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, now := t.recorded(name); now == gone {
			return true
		}
	}
	_, now := t.recorded(name)
	return now == gone
}
