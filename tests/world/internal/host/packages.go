package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"iamdb.dev/world/internal/command"
	"iamdb.dev/world/internal/console"
)

// Need is something that a Debian package brings: a program, a shared library by its soname, or a file by its path.
type Need struct {
	Package string
	Program string
	Library string
	File    string
}

// serverPath also has the folder of servers, which is not in an ordinary user's PATH.
const serverPath = "/usr/sbin:/usr/local/sbin:/sbin"

// Program finds a program in PATH and among the servers, and follows links: a shell that has sourced a world's environment
// has that world's own links in its PATH.
func Program(name string) (string, error) {
	for _, dir := range filepath.SplitList(os.Getenv("PATH") + ":" + serverPath) {
		path, err := filepath.EvalSymlinks(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		if info, err := os.Stat(path); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("no program %s in PATH or %s", name, serverPath)
}

func (n Need) met() bool {
	if n.Program != "" {
		_, err := Program(n.Program)
		return err == nil
	}
	if n.File != "" {
		_, err := os.Stat(n.File)
		return err == nil
	}
	for _, pattern := range []string{"/lib/*/", "/usr/lib/*/", "/lib64/", "/usr/lib64/", "/lib/", "/usr/lib/"} {
		if found, _ := filepath.Glob(pattern + n.Library); len(found) > 0 {
			return true
		}
	}
	return false
}

// Missing answers the packages that have to be installed, each once.
func Missing(needs []Need) []string {
	var missing []string
	seen := map[string]bool{}
	for _, n := range needs {
		if !n.met() && !seen[n.Package] {
			seen[n.Package] = true
			missing = append(missing, n.Package)
		}
	}
	return missing
}

// Install installs Debian packages without starting their services. Without root it says which command to run.
func Install(ctx context.Context, packages []string, log string) error {
	remedy := "run `apt-get install --no-install-recommends " + strings.Join(packages, " ") + "` as root"
	what := "install the Debian packages " + strings.Join(packages, " ")
	if os.Geteuid() != 0 {
		return &console.Failure{What: "missing Debian packages", Remedy: remedy}
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return &console.Failure{What: "cannot " + what, Err: errors.New("no apt-get here"), Remedy: "install what your system calls them"}
	}
	restore, err := keepServicesDown()
	if err != nil {
		return err
	}
	defer restore()
	install := func(log string) error {
		return command.Command{
			What: what, Log: log, Remedy: remedy, Env: []string{"DEBIAN_FRONTEND=noninteractive"},
			Args: append([]string{"apt-get", "install", "-y", "--no-install-recommends"}, packages...),
		}.Run(ctx)
	}
	// The package lists may be there and good: only a failure is a reason to read them anew.
	if install(log) == nil {
		return nil
	}
	update := command.Command{What: "read the Debian package lists", Args: []string{"apt-get", "update"}, Log: log + ".update", Remedy: remedy}
	if err := update.Run(ctx); err != nil {
		return err
	}
	return install(log)
}

// policyFile is asked by Debian's packages whether they may start their services: 101 is no.
const policyFile = "/usr/sbin/policy-rc.d"

// keepServicesDown forbids packages to start their services until restore is called. Where the machine has a policy of its
// own, that one stands.
func keepServicesDown() (restore func(), err error) {
	policy, err := os.OpenFile(policyFile, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if errors.Is(err, os.ErrExist) {
		return func() {}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("keep services from starting: %w", err)
	}
	_, err = policy.WriteString("#!/bin/sh\nexit 101\n")
	if err := errors.Join(err, policy.Close()); err != nil {
		return nil, fmt.Errorf("keep services from starting: %w", err)
	}
	return func() { _ = os.Remove(policyFile) }, nil
}
