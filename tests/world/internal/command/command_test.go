package command

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func TestAFailedToolIsReportedWithItsLastLineAndItsLog(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log", "build.log")
	err := Command{
		What: "build it", Args: []string{"/bin/sh", "-c", "echo error: no such crate; exit 2"}, Log: log, Remedy: "check the network",
	}.Run(context.Background())
	want := "cannot build it: exit status 2 (error: no such crate); read " + log + "; check the network"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestACancelledToolIsNoFailureOfItsOwn(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := Command{What: "build it", Args: []string{"/bin/sh", "-c", "sleep 5"}, Log: filepath.Join(t.TempDir(), "x.log")}.Run(ctx)
	if !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "read ") {
		t.Errorf("got %v", err)
	}
}

func TestOutputIsTrimmedAndAFailureQuotesWhatTheToolSaid(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	if out, err := Output(ctx, "/bin/sh", "-c", "echo 10.11"); err != nil || out != "10.11" {
		t.Errorf("got %q, %v", out, err)
	}
	if _, err := Output(ctx, "/bin/sh", "-c", "echo no space >&2; exit 1"); err == nil || err.Error() != "exit status 1 (no space)" {
		t.Errorf("got %v", err)
	}
	cancel()
	if _, err := Output(ctx, "/bin/sh", "-c", "sleep 5"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
