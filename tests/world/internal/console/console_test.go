package console

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestAFailureSaysWhatWhyWhereAndWhatToDo(t *testing.T) {
	err := &Failure{What: "etcd did not start", Err: errors.New("address in use"), Log: "log/etcd.log", Remedy: "run `world down`"}
	want := "etcd did not start: address in use; read log/etcd.log; run `world down`"
	if err.Error() != want {
		t.Errorf("got %q", err.Error())
	}
}

func TestEachFailureIsOneLineAndCancelledStepsAreSilent(t *testing.T) {
	var out strings.Builder
	PrintFailures(&out, errors.Join(
		errors.New("first\nline two"),
		fmt.Errorf("start etcd: %w", context.Canceled),
		errors.Join(errors.New("second")),
	))
	want := "world: first | line two\nworld: second\n"
	if out.String() != want {
		t.Errorf("got %q", out.String())
	}
}

func TestAnInterruptionIsSaidWhenNothingElseFailed(t *testing.T) {
	var out strings.Builder
	PrintFailures(&out, fmt.Errorf("build: %w", context.Canceled))
	if out.String() != "world: interrupted\n" {
		t.Errorf("got %q", out.String())
	}
}

func TestALongStepGivesSignsOfLife(t *testing.T) {
	var out strings.Builder
	r := NewReporter(&out)
	r.heartbeat = 5 * time.Millisecond
	if err := r.Step("building", func() error { time.Sleep(30 * time.Millisecond); return nil }); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "... building: still at it") || !strings.Contains(out.String(), "building (0.0 s)") {
		t.Errorf("got %q", out.String())
	}
}

func TestAFailedStepIsNotReportedAsDone(t *testing.T) {
	var out strings.Builder
	err := NewReporter(&out).Step("building", func() error { return errors.New("no") })
	if err == nil || out.Len() != 0 {
		t.Errorf("got %v and %q", err, out.String())
	}
}
