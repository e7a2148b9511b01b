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
	members := membersOf(w, s)
	for _, i := range layout.Instances() {
		software := t.software[i.Identifier]
		server := database.Server{
			World: w, Instance: i, Software: software, Passwords: s.passwords(i), Template: t.templates[software.Name],
			PluginDir: t.pluginDir, Member: members[i.Identifier], Processes: processes(w), Report: p.Report,
		}
		parts = append(parts, server.Up)
	}
	return tasks.All(ctx, parts...)
}

// membersOf are the places in clusters, by instance.
func membersOf(w layout.World, s secrets) map[string]*database.Member {
	places := map[string]*database.Member{}
	for n, m := range database.Members(w, layout.Ledger, s.Databases[layout.Ledger.Identifier].Replication) {
		places[layout.Ledger.Members[n].Identifier] = m
	}
	return places
}

func (p *Project) startAWS(ctx context.Context, w layout.World, t tools, s secrets) error {
	launcher := aws.Launcher{
		World: w, Python: t.python, Users: []aws.User{s.Operator, s.Admin}, Processes: processes(w), Report: p.Report,
	}
	members := membersOf(w, s)
	for _, i := range layout.Instances() {
		software := t.software[i.Identifier]
		d := aws.Database{
			Instance: i, Version: software.Version, MasterPassword: s.passwords(i).Master, RootCommand: software.RootCommand(w.Socket(i)),
		}
		if m := members[i.Identifier]; m != nil {
			d.Promote, d.Follow = m.Promote(), m.Follow()
		}
		launcher.Databases = append(launcher.Databases, d)
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
