package host

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestOurNamesComeBeforeTheMachinesOwn(t *testing.T) {
	got := HostsFile("127.0.0.1 localhost\n", []Entry{{"127.10.1.1", "orders.example"}, {"127.10.1.2", "billing.example"}})
	want := "127.10.1.1 orders.example\n127.10.1.2 billing.example\n127.0.0.1 localhost\n"
	if got != want {
		t.Errorf("got %q", got)
	}
}

func TestQuoteSurvivesTheShell(t *testing.T) {
	for _, text := range []string{"plain", "two words", "it's", `$HOME "x" \`, ""} {
		out, err := exec.Command("/bin/sh", "-c", "printf %s "+Quote(text)).Output()
		if err != nil || string(out) != text {
			t.Errorf("%q became %q (%v)", text, out, err)
		}
	}
}

func TestExecKeepsExitCodeDirectoryArgumentsAndProcess(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "exec")
	if err := WriteExec(script, filepath.Join(dir, "ho'sts"), []Entry{{"127.10.1.1", "orders.example"}}); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(script, "true").CombinedOutput(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("this machine gives no mount namespace: %s", out)
		}
		fmt.Fprintf(os.Stderr, "NOT RUN: %s needs a mount namespace\n", t.Name())
		t.Skipf("this machine gives no mount namespace: %s", out)
	}
	cmd := exec.Command(script, "/bin/sh", "-c", `getent hosts orders.example; pwd; echo "$1"; echo $$; exit 7`, "sh", "two words")
	cmd.Dir = "/"
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Fatalf("got %v", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 4 || strings.Fields(lines[0])[0] != "127.10.1.1" || lines[1] != "/" || lines[2] != "two words" {
		t.Errorf("got %q", lines)
	}
	if lines[3] != strconv.Itoa(cmd.Process.Pid) {
		t.Errorf("the command is process %s, not %d", lines[3], cmd.Process.Pid)
	}
	if own, err := os.ReadFile("/etc/hosts"); err != nil || strings.Contains(string(own), "orders.example") {
		t.Errorf("the machine's hosts file changed: %v", err)
	}
}
