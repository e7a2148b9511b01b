package process

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"iamdb.dev/world/internal/console"
)

func ensure(table Table, script string, probe func(context.Context) error) error {
	spec := Spec{Name: "part", Args: []string{"/bin/sh", "-c", script}, Log: filepath.Join(table.Dir, "part.log")}
	return table.Ensure(context.Background(), console.NewReporter(io.Discard), spec, probe)
}

func TestOneThatRunsIsNotStartedAgainButWaitedFor(t *testing.T) {
	table := Table{Dir: t.TempDir()}
	start(t, table, "exec sleep 60")
	before, _ := table.Alive("part")
	var probes atomic.Int32
	err := ensure(table, "exit 1", func(context.Context) error {
		if probes.Add(1) < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	if after, alive := table.Alive("part"); err != nil || !alive || after != before || probes.Load() != 3 {
		t.Errorf("process %d became %d after %d probes: %v", before, after, probes.Load(), err)
	}
}

func TestOneThatEndsWhileItIsWaitedForIsAFailure(t *testing.T) {
	table := Table{Dir: t.TempDir()}
	start(t, table, "sleep 0.2; echo error: lost the database; exit 1")
	err := ensure(table, "exit 1", func(context.Context) error { return errors.New("not yet") })
	if err == nil || !strings.Contains(err.Error(), "lost the database") {
		t.Errorf("got %v", err)
	}
}
