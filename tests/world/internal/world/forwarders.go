package world

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"iamdb.dev/world/internal/forward"
	"iamdb.dev/world/internal/layout"
	"iamdb.dev/world/internal/process"
)

// forwarders stand before everything that the operator speaks to.
func forwarders(w layout.World) forward.Config {
	config := forward.Config{Control: w.ForwardControl(), Targets: []forward.Target{
		{
			Name: "apiserver", Kind: forward.KindHTTPS, Listen: w.APIServerForward(), Upstream: w.APIServer(),
			Cert: w.PKI("apiserver.crt"), Key: w.PKI("apiserver.key"), UpstreamCA: w.PKI("cluster-ca.crt"),
		},
		{Name: "aws", Kind: forward.KindHTTP, Listen: w.AWSForward(), Upstream: w.AWS()},
	}}
	for _, e := range layout.Endpoints() {
		for _, r := range e.Routes {
			target := forward.Target{
				Name: e.Name, Kind: forward.KindMySQL, Listen: w.ForwarderAddress(r), Upstream: w.ServerAddress(r),
				Cert: w.PKI(r.Instance.Identifier + ".crt"), Key: w.PKI(r.Instance.Identifier + ".key"),
				UpstreamCA: w.PKI("database-ca.crt"), ServerName: r.Instance.Endpoint(),
			}
			if e.Kind == layout.OfProxy {
				target.Cert, target.Key, target.Terminate = w.PKI(e.Name+".crt"), w.PKI(e.Name+".key"), true
			}
			config.Targets = append(config.Targets, target)
		}
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
