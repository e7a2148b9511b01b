package node

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"

	"iamdb.dev/world/internal/command"
	"iamdb.dev/world/internal/gateway"
	"iamdb.dev/world/internal/layout"
	"iamdb.dev/world/internal/process"
)

// makeBridge makes the interface that pods hang on, with every address that they reach the world under. Pods reach nothing else: the
// machine does not forward for them.
func makeBridge(ctx context.Context, w layout.World) error {
	bridge := w.Bridge()
	if _, err := net.InterfaceByName(bridge); err == nil {
		return nil
	}
	commands := []string{"link add " + bridge + " address " + w.BridgeMAC() + " type bridge", "addr add " + w.NodeHost() + "/24 dev " + bridge}
	for _, address := range addresses(w) {
		commands = append(commands, "addr add "+address+"/32 dev "+bridge)
	}
	commands = append(commands, "link set "+bridge+" up")
	return command.Command{
		What: "make the bridge " + bridge, Args: []string{"ip", "-batch", "-"}, Stdin: strings.NewReader(strings.Join(commands, "\n") + "\n"),
		Log: w.Log("network"),
	}.Run(ctx)
}

func addresses(w layout.World) []string {
	all := []string{w.ServiceFirst()}
	for _, e := range layout.Endpoints() {
		for _, r := range e.Routes {
			all = append(all, w.PodRoute(r))
		}
	}
	return all
}

func removeBridge(ctx context.Context, w layout.World) error {
	if _, err := net.InterfaceByName(w.Bridge()); err != nil {
		return nil
	}
	if _, err := command.Output(ctx, "ip", "link", "delete", w.Bridge()); err != nil {
		return fmt.Errorf("remove the bridge %s: %w", w.Bridge(), err)
	}
	return nil
}

// gatewayOf leads pods through the forwarders, where a test may hold up or cut what they say.
func gatewayOf(w layout.World) gateway.Config {
	c := gateway.Config{
		Relays: []gateway.Relay{
			{Listen: w.PodAPIServer(), Upstream: w.APIServerForward()},
			{Listen: w.PodAWS(), Upstream: w.AWSForward()},
		},
		Names: gateway.Names{
			Listen: w.PodNames(), Hosts: w.Hosts(), Seen: map[string]string{},
			Fixed: map[string]string{
				"kubernetes.default.svc." + clusterDomain: w.ServiceFirst(), "kubernetes.default.svc": w.ServiceFirst(),
				layout.AWSName: w.NodeHost(),
			},
		},
	}
	for _, e := range layout.Endpoints() {
		for _, r := range e.Routes {
			c.Names.Seen[w.ForwarderHost(r)] = w.PodRoute(r)
			c.Relays = append(c.Relays, gateway.Relay{
				Listen: fmt.Sprintf("%s:%d", w.PodRoute(r), layout.DatabasePort), Upstream: w.ForwarderAddress(r),
			})
		}
	}
	return c
}

func (n Node) startGateway(ctx context.Context) error {
	config := gatewayOf(n.World)
	file := n.World.Node("gateway.json")
	if err := writeJSON(file, config); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	var listen []string
	for _, r := range config.Relays {
		listen = append(listen, r.Listen)
	}
	return n.ensure(ctx, layout.Gateway, []string{self, "gateway", "--config", file}, process.Listening(listen...))
}

func writeJSON(file string, content any) error {
	text, err := json.MarshalIndent(content, "", " ")
	if err == nil {
		err = os.WriteFile(file, text, 0o644)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}
