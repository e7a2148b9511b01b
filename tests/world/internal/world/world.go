// Package world brings the parts of a world up, takes them down and says how they are.
package world

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"iamdb.dev/world/internal/cache"
	"iamdb.dev/world/internal/console"
	"iamdb.dev/world/internal/layout"
	"iamdb.dev/world/internal/process"
)

// Project is a clone of this project, which has at most one world.
type Project struct {
	Root   string
	Cache  cache.Cache
	Report *console.Reporter
}

// Open finds the project that dir belongs to.
func Open(dir string, out io.Writer) (*Project, error) {
	root, err := findRoot(dir)
	if err != nil {
		return nil, err
	}
	c, err := cache.Open()
	if err != nil {
		return nil, err
	}
	return &Project{Root: root, Cache: c, Report: console.NewReporter(out)}, nil
}

// findRoot goes up until a folder has the test world's own sources.
func findRoot(dir string) (string, error) {
	start, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	start, err = filepath.EvalSymlinks(start)
	if err != nil {
		return "", fmt.Errorf("find the project: %w", err)
	}
	for at := start; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "tests", "world", "go.mod")); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", &console.Failure{
				What: start + " is not inside the project", Remedy: "change to its folder or give --root",
			}
		}
	}
}

// lock lets one command at a time change the world. The file stands outside of target/world, which comes and goes.
func (p *Project) lock(ctx context.Context) (unlock func(), err error) {
	return cache.Lock(ctx, filepath.Join(p.Root, "target", "world.lock"), func() {
		p.Report.Say("waiting for another `world` command of this project to finish")
	})
}

func processes(w layout.World) process.Table { return process.Table{Dir: w.Run()} }
