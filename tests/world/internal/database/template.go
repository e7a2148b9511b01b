package database

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"iamdb.dev/world/internal/cache"
	"iamdb.dev/world/internal/command"
	"iamdb.dev/world/internal/process"
)

// Template answers a data directory that is ready to be copied: initialised, with RDS's accounts and the sample data.
func (s Software) Template(ctx context.Context, c cache.Cache) (string, error) {
	words := append([]string{s.Server, s.Version, s.seed}, s.flags("", "")...)
	key, err := cache.Digest("", append(words, s.install...))
	if err != nil {
		return "", err
	}
	entry, err := c.Entry(ctx, s.Name, s.Version+"-"+key, func(dir string) error { return s.makeTemplate(ctx, dir) })
	return filepath.Join(entry, "data"), err
}

func (s Software) makeTemplate(ctx context.Context, dir string) error {
	data := filepath.Join(dir, "data")
	err := command.Command{
		What: "initialise " + s.Name, Args: append(s.install, "--datadir="+data), Log: dir + ".install.log",
	}.Run(ctx)
	if err != nil {
		return err
	}
	// A folder of its own for the socket: below the cache its path could be too long for the kernel.
	runtime, err := os.MkdirTemp("", "world-template-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(runtime)
	table, socket := process.Table{Dir: runtime}, filepath.Join(runtime, "sock")
	server, err := table.Start(process.Spec{
		Name: s.Name, Args: append(s.flags(data, socket), "--skip-networking"), Env: process.BaseEnv(), Dir: data, Log: dir + ".server.log",
	})
	if err != nil {
		return err
	}
	defer table.Stop(s.Name, 30*time.Second)
	if err := server.UntilReady(ctx, process.StartLimit, socketReady(socket)); err != nil {
		return err
	}
	if err := s.run(ctx, "fill the template of "+s.Name, socket, dir+".seed.log", s.seed); err != nil {
		return err
	}
	if err := table.Stop(s.Name, 30*time.Second); err != nil {
		return err
	}
	// The server's own identity, which each copy makes anew.
	return os.RemoveAll(filepath.Join(data, "auto.cnf"))
}
