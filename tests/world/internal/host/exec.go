// Package host deals with the machine itself: the names that resolve on it and the packages that it has.
package host

import (
	"fmt"
	"os"
	"strings"
)

// Entry is one line of a hosts file.
type Entry struct{ Address, Name string }

// HostsFile is the machine's own hosts file with the entries on top: the first match wins.
func HostsFile(own string, entries []Entry) string {
	var text strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&text, "%s %s\n", e.Address, e.Name)
	}
	text.WriteString(own)
	return text.String()
}

// ExecScript runs its arguments in a mount namespace of its own, where hosts stands in the place of /etc/hosts. Each step
// replaces the process, so the id, signals, the exit code and the working directory are those of the command itself.
func ExecScript(hosts string) string {
	return `#!/bin/sh
# Runs a command where the databases' endpoint names resolve: exec COMMAND [ARGUMENT...]
[ $# -gt 0 ] || { echo "usage: $0 COMMAND [ARGUMENT...]" >&2; exit 2; }
if [ "$(id -u)" = 0 ]; then flags=-m; else flags=-rm; fi
exec unshare "$flags" -- sh -c 'mount --bind "$0" /etc/hosts && exec "$@"' ` + Quote(hosts) + ` "$@"
`
}

// Quote makes text one word of a shell.
func Quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// WriteExec writes the hosts file and the script that mounts it.
func WriteExec(script, hosts string, entries []Entry) error {
	own, err := os.ReadFile("/etc/hosts")
	if err != nil {
		return fmt.Errorf("read the machine's hosts file: %w", err)
	}
	if err := os.WriteFile(hosts, []byte(HostsFile(string(own), entries)), 0o644); err != nil {
		return fmt.Errorf("write the hosts file: %w", err)
	}
	if err := os.WriteFile(script, []byte(ExecScript(hosts)), 0o755); err != nil {
		return fmt.Errorf("write the exec wrapper: %w", err)
	}
	return nil
}
