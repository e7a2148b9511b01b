package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"iamdb.dev/world/internal/console"
	"iamdb.dev/world/internal/world"
)

// action is what a command does to the project's world once its options are read.
type action func(context.Context, *world.Project) error

// command is one command that concerns a project's world.
type command struct {
	name    string
	purpose string
	// options declares the command's own options and answers what it does.
	options func(*flag.FlagSet) action
}

var commands = []command{
	{"up", "start the world, or what of it is dead", func(flags *flag.FlagSet) action {
		noOperator := flags.Bool("no-operator", false, "leave the operator out")
		return func(ctx context.Context, p *world.Project) error { return p.Up(ctx, !*noOperator) }
	}},
	{"down", "stop the world and remove its state", func(*flag.FlagSet) action {
		return func(ctx context.Context, p *world.Project) error { return p.Down(ctx) }
	}},
	{"status", "tell which parts run", func(*flag.FlagSet) action {
		return func(_ context.Context, p *world.Project) error { return p.Status() }
	}},
	{"operator", "build the operator anew and restart it alone", func(flags *flag.FlagSet) action {
		var o world.OperatorOptions
		flags.StringVar(&o.Log, "log", world.DefaultLog, "log `LEVEL` of the operator")
		flags.BoolVar(&o.NoBuild, "no-build", false, "restart the binary that is there")
		flags.BoolVar(&o.Stop, "stop", false, "stop it, and start nothing")
		return func(ctx context.Context, p *world.Project) error { return p.Operator(ctx, o) }
	}},
	{"node up", "give the world's cluster a node that runs pods", func(*flag.FlagSet) action {
		return func(ctx context.Context, p *world.Project) error { return p.NodeUp(ctx) }
	}},
	{"node load", "load an OCI archive's image onto the node", func(flags *flag.FlagSet) action {
		archive := flags.String("archive", "", "the archive `FILE`")
		return func(ctx context.Context, p *world.Project) error { return p.NodeLoad(ctx, *archive) }
	}},
	{"node down", "take the node away, with its pods", func(*flag.FlagSet) action {
		return func(ctx context.Context, p *world.Project) error { return p.NodeDown(ctx) }
	}},
}

func (c command) run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("world "+c.name, flag.ContinueOnError)
	root := flags.String("root", ".", "a `FOLDER` of the project")
	act := c.options(flags)
	// A wrong option is reported like every other failure, on one line; only who asks for help gets it.
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Printf("usage: world %s [OPTIONS]: %s\n\n", c.name, c.purpose)
		flags.SetOutput(os.Stdout)
		flags.PrintDefaults()
		return err
	case err != nil:
		return &console.Failure{What: "world " + c.name, Err: err, Remedy: "see world " + c.name + " --help"}
	case flags.NArg() > 0:
		return &console.Failure{
			What: fmt.Sprintf("world %s takes no argument %q", c.name, flags.Arg(0)), Remedy: "see world " + c.name + " --help",
		}
	}
	project, err := world.Open(*root, os.Stdout)
	if err != nil {
		return err
	}
	return act(ctx, project)
}

func usage() string {
	var text strings.Builder
	text.WriteString("usage: world COMMAND [OPTIONS]\n\n")
	for _, c := range commands {
		fmt.Fprintf(&text, "  %-10s %s\n", c.name, c.purpose)
	}
	fmt.Fprintf(&text, "  %-10s %s\n", "forward", "run the forwarders (`world up` starts them)")
	fmt.Fprintf(&text, "  %-10s %s\n", "gateway", "run what the node's pods reach the world through (`world node up` starts it)")
	fmt.Fprintf(&text, "  %-10s %s\n", "mint", "sign a token for any instant")
	text.WriteString("\n`world COMMAND --help` tells a command's options.\n")
	return text.String()
}
