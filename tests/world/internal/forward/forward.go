// Package forward stands before the apiserver, AWS and the databases and breaks the connection to them on request, at the very
// request that a test names: it keeps a reply back, loses it, refuses the request, answers in the server's place, or cuts the
// network. Without a rule it changes nothing.
package forward

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// Main runs `world forward --config FILE` until SIGTERM or SIGINT.
func Main(args []string) error {
	flags := flag.NewFlagSet("forward", flag.ContinueOnError)
	file := flags.String("config", "", "the forwarders' configuration, JSON")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if *file == "" || flags.NArg() > 0 {
		return errors.New("usage: world forward --config FILE")
	}
	config, err := readConfig(*file)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	f, err := start(config, os.Stdout)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case err = <-f.failed:
	}
	f.stop()
	return err
}

// forwarder is all targets at work, with the rules that they share.
type forwarder struct {
	rules  ruleBook
	seen   requestLog
	points []*point
	out    *lockedWriter

	// stops ends the servers; running waits for their goroutines; failed tells why one ended by itself.
	stops   []func()
	running sync.WaitGroup
	failed  chan error
}

// start listens everywhere before it serves anywhere, so that a taken address leaves nothing half started.
func start(config Config, out io.Writer) (*forwarder, error) {
	f := &forwarder{out: &lockedWriter{w: out}, failed: make(chan error, len(config.Targets)+1)}
	var begin []func()
	for _, t := range config.Targets {
		serve, err := f.open(t)
		if err != nil {
			f.stop()
			return nil, err
		}
		begin = append(begin, serve)
	}
	serve, err := f.openControl(config.Control)
	if err != nil {
		f.stop()
		return nil, err
	}
	for _, serve := range append(begin, serve) {
		f.running.Add(1)
		go func() {
			defer f.running.Done()
			serve()
		}()
	}
	return f, nil
}

// open listens for one target and answers what serves it.
func (f *forwarder) open(t Target) (func(), error) {
	l, err := net.Listen("tcp", t.Listen)
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", t.Name, err)
	}
	t.Listen = l.Addr().String()
	p := &point{Target: t}
	f.points = append(f.points, p)
	// The clients' connections are closed from below: TLS would first want to say goodbye, which a paused target never lets it.
	f.stops = append(f.stops, func() { l.Close(); p.closeConns(nil) })

	var serve func()
	switch t.Kind {
	case KindMySQL:
		serve, err = f.mysql(p, listener{l, p})
	default:
		serve, err = f.http(p, listener{l, p})
	}
	if err != nil {
		return nil, err
	}
	f.printf("%s: %s %s -> %s\n", t.Name, t.Kind, t.Listen, t.Upstream)
	return serve, nil
}

// begin shows a request to the rules and remembers it.
func (f *forwarder) begin(p *point, line string) *hit {
	h := f.rules.take(p.Name, line)
	f.seen.add(p.Name, line, h.action())
	return h
}

// fail ends the program: a forwarder that no longer listens must not look alive.
func (f *forwarder) fail(what string, err error) {
	select {
	case f.failed <- fmt.Errorf("%s: %w", what, err):
	default:
	}
}

func (f *forwarder) stop() {
	for _, stop := range f.stops {
		stop()
	}
	f.running.Wait()
}

func (f *forwarder) printf(format string, args ...any) { fmt.Fprintf(f.out, format, args...) }

// lockedWriter lets many connections write whole lines.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}
