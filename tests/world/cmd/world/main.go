// Command world starts, stops and controls the test world.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"iamdb.dev/world/internal/console"
	"iamdb.dev/world/internal/forward"
	"iamdb.dev/world/internal/gateway"
	"iamdb.dev/world/internal/mint"
)

func main() {
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		console.PrintFailures(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		fmt.Print(usage())
		return nil
	}
	name, rest := args[0], args[1:]
	// The first ones are programs of their own that need no project.
	switch name {
	case "forward":
		return forward.Main(rest)
	case "mint":
		return mint.Main(rest)
	case "gateway":
		return gateway.Main(rest)
	case "node":
		// Its commands have names of two words.
		if len(rest) > 0 {
			name, rest = name+" "+rest[0], rest[1:]
		}
	}
	for _, c := range commands {
		if c.name == name {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return c.run(ctx, rest)
		}
	}
	return &console.Failure{What: fmt.Sprintf("there is no command %q", name), Remedy: "see world --help"}
}
