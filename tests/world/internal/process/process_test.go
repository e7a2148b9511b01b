package process

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestStatIsReadFromTheLastParenthesis(t *testing.T) {
	got, err := parseStat("4242 (a) b (c) S 1 4242 4242 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 7 0 987654 1000 10")
	if want := (stat{state: "S", flags: 4194560, threads: 7, startTicks: "987654"}); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := parseStat("4242 (cut"); err == nil {
		t.Error("a cut line was accepted")
	}
}

func TestAProcessIsGoneOnlyWhenAllItsThreadsAre(t *testing.T) {
	for name, c := range map[string]struct {
		stat stat
		want phase
	}{
		"works":                  {stat{state: "S", threads: 3}, running},
		"was killed":             {stat{state: "R", flags: exiting, threads: 3}, ending},
		"first thread has ended": {stat{state: "Z", flags: exiting, threads: 3}, ending},
		"was not waited for":     {stat{state: "Z", flags: exiting, threads: 1}, gone},
	} {
		if got := c.stat.phase(); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}

func start(t *testing.T, table Table, script string) *Started {
	t.Helper()
	started, err := table.Start(Spec{
		Name: "part", Args: []string{"/bin/sh", "-c", script}, Log: filepath.Join(table.Dir, "part.log"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = table.Stop("part", 0) })
	return started
}

func TestAStartedProcessIsOursUntilItIsStopped(t *testing.T) {
	table := Table{Dir: t.TempDir()}
	start(t, table, "exec sleep 60")
	if _, alive := table.Alive("part"); !alive {
		t.Fatal("not alive after its start")
	}
	if err := table.Stop("part", time.Second); err != nil {
		t.Fatal(err)
	}
	if _, alive := table.Alive("part"); alive {
		t.Error("alive after it was stopped")
	}
}

func TestAnIDThatWasUsedAgainIsNotOurs(t *testing.T) {
	table := Table{Dir: t.TempDir()}
	start(t, table, "exec sleep 60")
	pid, _ := table.Alive("part")
	boot, ticks, _ := strings.Cut(readFile(t, table.birthFile("part")), " ")
	n, err := strconv.Atoi(strings.TrimSpace(ticks))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, table.birthFile("part"), boot+" "+strconv.Itoa(n-1)+"\n")

	if err := table.Stop("part", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/proc/" + strconv.Itoa(pid)); err != nil {
		t.Error("a process that is not ours was ended")
	}
	// Recorded again, so that the clean-up may end it.
	if err := table.record("part", pid); err != nil {
		t.Fatal(err)
	}
}

func TestAProcessThatIgnoresTermIsKilled(t *testing.T) {
	table := Table{Dir: t.TempDir()}
	start(t, table, "trap '' TERM; while :; do sleep 0.05; done")
	time.Sleep(100 * time.Millisecond)
	if err := table.Stop("part", 100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
}

func TestWaitingEndsWithTheProcessAndQuotesItsLastWords(t *testing.T) {
	table := Table{Dir: t.TempDir()}
	started := start(t, table, "echo cannot bind; exit 3")
	err := started.UntilReady(context.Background(), 10*time.Second, func(context.Context) error { return errors.New("refused") })
	if err == nil || !strings.Contains(err.Error(), "exit status 3 (cannot bind)") {
		t.Errorf("got %v", err)
	}
}

func TestWaitingEndsWithTheProbesLastError(t *testing.T) {
	table := Table{Dir: t.TempDir()}
	started := start(t, table, "exec sleep 60")
	err := started.UntilReady(context.Background(), 120*time.Millisecond, func(context.Context) error { return errors.New("refused") })
	if err == nil || !strings.Contains(err.Error(), "not ready after 120ms: refused") {
		t.Errorf("got %v", err)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
