package world

import (
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"iamdb.dev/world/internal/layout"
	"iamdb.dev/world/internal/process"
)

func newWorld(t *testing.T) layout.World {
	t.Helper()
	w := layout.World{Root: t.TempDir(), Slot: 10}
	if err := os.MkdirAll(w.Run(), 0o755); err != nil {
		t.Fatal(err)
	}
	return w
}

func run(t *testing.T, w layout.World, part string) {
	t.Helper()
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := processes(w).Start(process.Spec{Name: part, Args: []string{sleep, "60"}, Log: w.Log(part)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = processes(w).Stop(part, time.Second) })
}

func TestOnlyWhatDoesNotRunIsDead(t *testing.T) {
	w := newWorld(t)
	run(t, w, layout.Etcd)
	got := dead(w, false)
	if slices.Contains(got, layout.Etcd) || slices.Contains(got, layout.Operator) || !slices.Contains(got, layout.AWS) {
		t.Errorf("got %v", got)
	}
	if !slices.Contains(dead(w, true), layout.Operator) {
		t.Error("the operator is not missed")
	}
}

func TestAWorldIsWorthKeepingOnlyWhileAWSRemembers(t *testing.T) {
	w := newWorld(t)
	if why := unusable(w); !strings.Contains(why, "did not come far") {
		t.Errorf("without AWS: %q", why)
	}
	run(t, w, layout.AWS)
	if why := unusable(w); !strings.Contains(why, "lacks") {
		t.Errorf("without the passwords of its databases: %q", why)
	}
	if err := newSecrets().save(w); err != nil {
		t.Fatal(err)
	}
	if why := unusable(w); why != "" {
		t.Errorf("with AWS: %q", why)
	}
	pid, _ := processes(w).Alive(layout.AWS)
	if out, err := exec.Command("/bin/sh", "-c", `kill -9 "$0"; while kill -0 "$0" 2>/dev/null; do sleep 0.01; done`, strconv.Itoa(pid)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if why := unusable(w); !strings.Contains(why, "what it knew") {
		t.Errorf("after AWS ended: %q", why)
	}
}
