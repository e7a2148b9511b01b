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
	"iamdb.dev/world/internal/mint"
	"iamdb.dev/world/internal/world"
)

const usage = `usage: world COMMAND [options]

  up [--no-operator]     start the world, or what of it is dead
  down                   stop it and remove its state
  status                 tell which parts run
  operator [--log LEVEL] [--no-build | --stop]
                         build the operator anew and restart it alone
  forward --config FILE  run the forwarders (started by up)
  mint ...               sign a token for any instant; see world mint --help

  --root DIR             folder of the project, for all but forward and mint; by default found from the working directory
`

func main() {
	if err := run(os.Args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		console.PrintFailures(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		fmt.Print(usage)
		return nil
	}
	name, rest := args[0], args[1:]
	switch name {
	case "forward":
		return forward.Main(rest)
	case "mint":
		return mint.Main(rest)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	flags := flag.NewFlagSet("world "+name, flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(flags.Output(), usage) }
	root := flags.String("root", ".", "")
	noOperator := flags.Bool("no-operator", false, "")
	var o world.OperatorOptions
	flags.StringVar(&o.Log, "log", "debug", "")
	flags.BoolVar(&o.NoBuild, "no-build", false, "")
	flags.BoolVar(&o.Stop, "stop", false, "")
	if err := flags.Parse(rest); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return &console.Failure{What: fmt.Sprintf("world %s takes no argument %q", name, flags.Arg(0)), Remedy: "see world --help"}
	}
	project, err := world.Open(*root, os.Stdout)
	if err != nil {
		return err
	}
	switch name {
	case "up":
		return project.Up(ctx, !*noOperator)
	case "down":
		return project.Down(ctx)
	case "status":
		return project.Status()
	case "operator":
		return project.Operator(ctx, o)
	default:
		return &console.Failure{What: fmt.Sprintf("there is no command %q", name), Remedy: "see world --help"}
	}
}
