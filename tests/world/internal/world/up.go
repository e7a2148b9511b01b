package world

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"iamdb.dev/world/internal/aws"
	"iamdb.dev/world/internal/command"
	"iamdb.dev/world/internal/console"
	"iamdb.dev/world/internal/controlplane"
	"iamdb.dev/world/internal/database"
	"iamdb.dev/world/internal/forward"
	"iamdb.dev/world/internal/layout"
	"iamdb.dev/world/internal/process"
	"iamdb.dev/world/internal/slot"
	"iamdb.dev/world/internal/tasks"
)

// Up brings the world up: nothing happens to what runs, what is dead is started again. The operator is left out on request.
func (p *Project) Up(ctx context.Context, withOperator bool) error {
	unlock, err := p.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()

	w, exists := slot.Remembered(p.Root)
	if exists && len(dead(w, withOperator)) == 0 {
		p.Report.Say("the world is up already, in slot %d (127.%d.x.x); nothing changed", w.Slot, w.Slot)
		return nil
	}
	if exists && lostItsMemory(w) {
		p.Report.Say("AWS is gone, and with it what it knew: the world starts afresh")
		if err := p.wipe(ctx, w); err != nil {
			return err
		}
		exists = false
	}
	t, err := p.prepare(ctx, withOperator)
	if err != nil {
		return err
	}
	if !exists {
		if w, err = p.create(ctx); err != nil {
			return err
		}
	}
	if err := p.start(ctx, w, t); err != nil {
		return err
	}
	if withOperator {
		if err := p.startOperator(ctx, w, defaultLog); err != nil {
			return err
		}
	}
	p.Report.Say("the world is up: . target/world/env")
	return nil
}

// dead lists the parts that should run and do not.
func dead(w layout.World, withOperator bool) []string {
	var names []string
	for _, part := range layout.Parts() {
		if part == layout.Operator && !withOperator {
			continue
		}
		if _, alive := processes(w).Alive(part); !alive {
			names = append(names, part)
		}
	}
	return names
}

// lostItsMemory holds when AWS ran in this world and does not any more: moto keeps everything in memory.
func lostItsMemory(w layout.World) bool {
	_, recorded := os.Stat(processes(w).PIDFile(layout.AWS))
	_, alive := processes(w).Alive(layout.AWS)
	return recorded == nil && !alive
}

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

// applyManifests brings in what an administrator would before the operator starts.
func (p *Project) applyManifests(ctx context.Context, w layout.World) error {
	ca, err := os.ReadFile(w.PKI("database-ca.crt"))
	if err != nil {
		return fmt.Errorf("read the databases' CA: %w", err)
	}
	objects := []any{
		map[string]any{
			"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]string{"name": layout.OperatorNamespace},
		},
		map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": map[string]string{"name": layout.CAConfigMap, "namespace": layout.OperatorNamespace},
			"data":     map[string]string{layout.CAConfigMapKey: string(ca)},
		},
	}
	text, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": objects})
	if err != nil {
		return err
	}
	file := w.Path("objects.json")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return fmt.Errorf("write the world's own objects: %w", err)
	}
	for _, args := range [][]string{
		{"apply", "--server-side", "-f", file},
		{"apply", "--server-side", "--force-conflicts", "-f", filepath.Join(p.Root, "crds")},
		{"apply", "--server-side", "--force-conflicts", "-f", filepath.Join(p.Root, "tests", "world", "rbac")},
		{"wait", "--for=condition=Established", "--timeout=30s", "-f", filepath.Join(p.Root, "crds")},
	} {
		kubectl := command.Command{
			What: "kubectl " + args[0], Log: w.Log("manifests"),
			Args: append([]string{w.Path("bin", "kubectl"), "--kubeconfig", w.AdminKubeconfig()}, args...),
		}
		if err := kubectl.Run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// forwarders stand before everything that the operator speaks to.
func forwarders(w layout.World) forward.Config {
	config := forward.Config{Control: w.ForwardControl(), Targets: []forward.Target{
		{
			Name: "apiserver", Kind: forward.KindHTTPS, Listen: w.APIServerForward(), Upstream: w.APIServer(),
			Cert: w.PKI("apiserver.crt"), Key: w.PKI("apiserver.key"), UpstreamCA: w.PKI("cluster-ca.crt"),
		},
		{Name: "aws", Kind: forward.KindHTTP, Listen: w.AWSForward(), Upstream: w.AWS()},
	}}
	for _, i := range layout.Instances() {
		config.Targets = append(config.Targets, forward.Target{
			Name: i.Identifier, Kind: forward.KindMySQL, Listen: w.EndpointAddress(i), Upstream: w.ServerAddress(i),
			Cert: w.PKI(i.Identifier + ".crt"), Key: w.PKI(i.Identifier + ".key"), UpstreamCA: w.PKI("database-ca.crt"),
			ServerName: i.Endpoint(),
		})
	}
	return config
}

func (p *Project) startForwarders(ctx context.Context, w layout.World) error {
	config := forwarders(w)
	text, err := json.MarshalIndent(config, "", " ")
	if err != nil {
		return err
	}
	file := w.Path("forward.json")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return fmt.Errorf("write the forwarders' configuration: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	listen := []string{config.Control}
	for _, target := range config.Targets {
		listen = append(listen, target.Listen)
	}
	spec := process.Spec{
		Name: layout.Forwarders, Args: []string{self, "forward", "--config", file},
		Env: process.BaseEnv(), Dir: w.Dir(), Log: w.Log(layout.Forwarders),
	}
	return processes(w).Ensure(ctx, p.Report, spec, process.Listening(listen...))
}

// Down ends every process of the world that is still ours and removes its folder.
func (p *Project) Down(ctx context.Context) error {
	unlock, err := p.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	w, exists := slot.Remembered(p.Root)
	if !exists {
		p.Report.Say("there is no world; nothing to do")
		return nil
	}
	if err := p.wipe(ctx, w); err != nil {
		return err
	}
	p.Report.Say("the world is gone")
	return nil
}

func (p *Project) wipe(ctx context.Context, w layout.World) error {
	// The operator first: it would only complain about what goes away under it.
	if err := processes(w).Stop(layout.Operator, 10*time.Second); err != nil {
		return err
	}
	var stops []func(context.Context) error
	for _, part := range layout.Parts() {
		stops = append(stops, func(context.Context) error { return processes(w).Stop(part, 10*time.Second) })
	}
	if err := tasks.All(ctx, stops...); err != nil {
		return err
	}
	if err := os.RemoveAll(w.Dir()); err != nil {
		return &console.Failure{What: "cannot remove " + w.Dir(), Err: err}
	}
	return nil
}

// Status tells which parts run.
func (p *Project) Status() error {
	w, exists := slot.Remembered(p.Root)
	if !exists {
		p.Report.Say("there is no world; start one with `make world`")
		return nil
	}
	for _, part := range layout.Parts() {
		if pid, alive := processes(w).Alive(part); alive {
			p.Report.Say("%-26s runs, process %d", part, pid)
		} else {
			p.Report.Say("%-26s does not run", part)
		}
	}
	return nil
}
