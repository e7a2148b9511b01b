// Package gateway is what a node's pods find outside of themselves: it passes connections from addresses on the node's bridge
// on to the world's loopback addresses, and answers the pods' questions for names.
package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"iamdb.dev/world/internal/console"
	"iamdb.dev/world/internal/tasks"
)

// Config is the configuration file.
type Config struct {
	Relays []Relay `json:"relays"`
	Names  Names   `json:"names"`
}

// Relay passes connections on.
type Relay struct {
	Listen   string `json:"listen"`
	Upstream string `json:"upstream"`
}

// Main is `world gateway`.
func Main(args []string) error {
	flags := flag.NewFlagSet("world gateway", flag.ContinueOnError)
	file := flags.String("config", "", "the configuration `FILE`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	config, err := readConfig(*file)
	if err != nil {
		return &console.Failure{What: "cannot read the gateway's configuration", Err: err}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := config.Serve(ctx); err != nil && ctx.Err() == nil {
		return &console.Failure{What: "the gateway failed", Err: err}
	}
	return nil
}

func readConfig(path string) (Config, error) {
	var c Config
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	return c, err
}

// Serve runs everything until ctx ends.
func (c Config) Serve(ctx context.Context) error {
	parts := []func(context.Context) error{c.Names.serve}
	for _, r := range c.Relays {
		parts = append(parts, r.serve)
	}
	return tasks.All(ctx, parts...)
}

func (r Relay) serve(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", r.Listen)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	for {
		client, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("accept at %s: %w", r.Listen, err)
		}
		go r.pass(ctx, client)
	}
}

// pass joins both sides until both have said all, or one is gone.
func (r Relay) pass(ctx context.Context, client net.Conn) {
	defer client.Close()
	server, err := new(net.Dialer).DialContext(ctx, "tcp", r.Upstream)
	if err != nil {
		// The client sees that nobody is there. Who looks for the reason finds it here.
		log.Printf("%s for %s: %v", r.Listen, client.RemoteAddr(), err)
		return
	}
	defer server.Close()
	stop := context.AfterFunc(ctx, func() { _, _ = client.Close(), server.Close() })
	defer stop()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{server, client}, {client, server}} {
		both.Add(1)
		go func() {
			defer both.Done()
			if _, err := io.Copy(way[0], way[1]); err != nil {
				_, _ = client.Close(), server.Close()
				return
			}
			if half, ok := way[0].(*net.TCPConn); ok {
				_ = half.CloseWrite()
			}
		}()
	}
	both.Wait()
}
