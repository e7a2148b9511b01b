package world

import (
	"context"

	"iamdb.dev/world/internal/aws"
	"iamdb.dev/world/internal/controlplane"
	"iamdb.dev/world/internal/database"
	"iamdb.dev/world/internal/layout"
	"iamdb.dev/world/internal/tasks"
)

// start starts every part but the operator. Side by side: each waits for what it needs by trying again.
func (p *Project) start(ctx context.Context, w layout.World, t tools) error {
	s, err := readSecrets(w)
	if err != nil {
		return err
	}
	if err := linkPrograms(w, t); err != nil {
		return err
	}
	parts := []func(context.Context) error{
		func(ctx context.Context) error { return p.startKubernetes(ctx, w, t) },
		func(ctx context.Context) error { return p.startAWS(ctx, w, t, s) },
		func(ctx context.Context) error { return p.startForwarders(ctx, w) },
	}
	for _, software := range []database.Software{t.mysql, t.mariadb} {
		id := software.Instance.Identifier
		server := database.Server{
			World: w, Software: software, Passwords: s.Databases[id],
			Template: t.templates[id], PluginDir: t.pluginDir, Processes: processes(w), Report: p.Report,
		}
		parts = append(parts, server.Up)
	}
	return tasks.All(ctx, parts...)
}

func (p *Project) startAWS(ctx context.Context, w layout.World, t tools, s secrets) error {
	launcher := aws.Launcher{
		World: w, Python: t.python, Users: []aws.User{s.Operator, s.Admin}, Processes: processes(w), Report: p.Report,
	}
	for _, software := range []database.Software{t.mysql, t.mariadb} {
		i := software.Instance
		launcher.Databases = append(launcher.Databases, aws.Database{
			Instance: i, Version: software.Version, MasterPassword: s.Databases[i.Identifier].Master,
			RootCommand: software.RootCommand(w.Socket(i)),
		})
	}
	return launcher.Up(ctx)
}

func (p *Project) startKubernetes(ctx context.Context, w layout.World, t tools) error {
	plane := controlplane.ControlPlane{World: w, Programs: t.programs, Processes: processes(w), Report: p.Report}
	if err := plane.Up(ctx); err != nil {
		return err
	}
	return p.Report.Step("definitions, rights and CA applied", func() error { return p.applyManifests(ctx, w) })
}
