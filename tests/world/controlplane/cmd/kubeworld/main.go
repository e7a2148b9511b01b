// kubeworld is etcd, kube-apiserver, kube-controller-manager and kubectl in one binary: they share most of their code, so
// one program is less than half the size of four and links once. It is called as `kubeworld SUBCOMMAND [flags]` or through
// a link that is named like the subcommand.
package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// programs is filled by the other files of this package; build tags decide which of them are compiled in.
var programs = map[string]func() int{}

func main() {
	name, args := filepath.Base(os.Args[0]), os.Args
	if programs[name] == nil && len(os.Args) > 1 {
		name, args = os.Args[1], os.Args[1:]
	}
	run := programs[name]
	if run == nil {
		known := slices.Sorted(maps.Keys(programs))
		fmt.Fprintf(os.Stderr, "usage: kubeworld SUBCOMMAND [flags]; subcommands: %s\n", strings.Join(known, ", "))
		os.Exit(2)
	}
	// The programs read os.Args themselves.
	os.Args = args
	os.Exit(run())
}
