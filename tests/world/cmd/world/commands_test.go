package main

import (
	"context"
	"errors"
	"flag"
	"strings"
	"testing"
)

func find(t *testing.T, name string) command {
	t.Helper()
	for _, c := range commands {
		if c.name == name {
			return c
		}
	}
	t.Fatalf("no command %s", name)
	return command{}
}

func TestACommandTakesItsOwnOptionsOnly(t *testing.T) {
	for name, args := range map[string][]string{
		"down": {"--no-operator"}, "up": {"--log", "info"}, "status": {"everything"},
	} {
		err := find(t, name).run(context.Background(), args)
		if err == nil || !strings.Contains(err.Error(), "see world "+name+" --help") {
			t.Errorf("world %s %v: %v", name, args, err)
		}
	}
}

func TestEveryCommandHelps(t *testing.T) {
	for _, c := range commands {
		if err := c.run(context.Background(), []string{"--help"}); !errors.Is(err, flag.ErrHelp) {
			t.Errorf("world %s --help: %v", c.name, err)
		}
	}
}
