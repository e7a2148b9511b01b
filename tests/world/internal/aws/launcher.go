package aws

import (
	"context"
	"path/filepath"

	"iamdb.dev/world/internal/console"
	"iamdb.dev/world/internal/layout"
	"iamdb.dev/world/internal/process"
)

// Launcher is the AWS launcher of a world.
type Launcher struct {
	World     layout.World
	Python    string
	Databases []Database
	Users     []User
	Processes process.Table
	Report    *console.Reporter
}

// Up starts the launcher unless it runs, and waits until it is seeded.
func (l Launcher) Up(ctx context.Context) error {
	config := l.World.Path("aws.json")
	if err := WriteConfig(l.World, config, l.Databases, l.Users); err != nil {
		return err
	}
	spec := process.Spec{
		Name: layout.AWS, Dir: l.World.Dir(), Log: l.World.Log(layout.AWS),
		Args: []string{l.Python, "-m", "world_aws", "--config", config},
		Env: process.BaseEnv(
			"PYTHONPATH="+filepath.Join(l.World.Root, source), "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1",
		),
	}
	return l.Processes.Ensure(ctx, l.Report, spec, process.HTTPReady("http://"+l.World.AWS()+"/_world/ready"))
}
