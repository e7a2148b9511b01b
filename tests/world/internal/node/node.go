// Package node runs one real node of a world's cluster: containerd, a kubelet, a scheduler and the controllers that make pods, on a
// bridge of its own. All of it goes again: processes, mounts, control groups, network and kernel settings.
package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"iamdb.dev/world/internal/command"
	"iamdb.dev/world/internal/console"
	"iamdb.dev/world/internal/controlplane"
	"iamdb.dev/world/internal/host"
	"iamdb.dev/world/internal/layout"
	"iamdb.dev/world/internal/process"
	"iamdb.dev/world/internal/tasks"
)

// cniPlugins is where Debian puts them.
const cniPlugins = "/usr/lib/cni"

// DebianNeeds is what a node needs of the machine.
func DebianNeeds() []host.Need {
	return []host.Need{
		{Package: "containerd", Program: "containerd"},
		{Package: "containerd", Program: "ctr"},
		{Package: "runc", Program: "runc"},
		{Package: "containernetworking-plugins", File: cniPlugins + "/bridge"},
		{Package: "iproute2", Program: "ip"},
		{Package: "busybox-static", Program: "busybox"},
	}
}

// Node is the node of one world.
type Node struct {
	World     layout.World
	Plane     controlplane.Programs
	Programs  controlplane.NodePrograms
	Kernel    Kernel
	Processes process.Table
	Report    *console.Reporter
}

// socketPathLimit is what the kernel allows for the path of a UNIX socket, without the final zero.
const socketPathLimit = 107

// Up starts what does not run and waits until the node is ready.
func (n Node) Up(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return &console.Failure{What: "a node needs root: it mounts, and makes network interfaces and control groups"}
	}
	if longest := n.World.Node("kubelet", "pod-resources", "kubelet.sock"); len(longest) > socketPathLimit {
		return &console.Failure{
			What:   fmt.Sprintf("the path %s is too long for a UNIX socket", longest),
			Remedy: "clone the project to a folder with a shorter path",
		}
	}
	for _, dir := range []string{"kubelet", "logs", "plugins", "cni"} {
		if err := os.MkdirAll(n.World.Node(dir), 0o755); err != nil {
			return fmt.Errorf("make the node's folder: %w", err)
		}
	}
	if err := n.Kernel.Save(ctx); err != nil {
		return err
	}
	if err := makeCgroups(n.World.Cgroup()); err != nil {
		return err
	}
	if err := makeBridge(ctx, n.World); err != nil {
		return err
	}
	err := tasks.All(ctx,
		n.startGateway,
		func(ctx context.Context) error {
			if err := n.startContainerd(ctx); err != nil {
				return err
			}
			return n.Report.Work("images of the node", func() error { return n.loadOwnImages(ctx) })
		},
		n.startScheduler,
		n.startControllers,
	)
	if err != nil {
		return err
	}
	return n.startKubelet(ctx)
}

func (n Node) ensure(ctx context.Context, part string, args []string, probe func(context.Context) error) error {
	spec := process.Spec{Name: part, Args: args, Env: process.BaseEnv(), Dir: n.World.Dir(), Log: n.World.Log(part)}
	return n.Processes.Ensure(ctx, n.Report, spec, probe)
}

// controllers are those that make pods and keep them, and that take care of a node's taints.
var controllers = []string{
	"deployment-controller", "replicaset-controller", "disruption-controller", "endpointslice-controller", "job-controller",
	"node-lifecycle-controller", "pod-garbage-collector-controller", "taint-eviction-controller",
}

// startControllers starts a second controller manager: worlds without a node do not need these.
func (n Node) startControllers(ctx context.Context) error {
	args := controlplane.ControllerManagerArgs(n.World, n.Plane, n.World.NodeControllers(), controllers)
	return n.ensure(ctx, layout.NodeControllers, args, process.Listening(n.World.NodeControllers()))
}

func (n Node) startScheduler(ctx context.Context) error {
	kubeconfig := n.World.PKI("kube-scheduler.kubeconfig")
	host, port, _ := strings.Cut(n.World.Scheduler(), ":")
	return n.ensure(ctx, layout.Scheduler, []string{
		n.Programs.Scheduler, "--kubeconfig=" + kubeconfig, "--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig, "--leader-elect=false", "--bind-address=" + host, "--secure-port=" + port,
	}, process.Listening(n.World.Scheduler()))
}

// Load brings the image of an OCI archive onto the node, under the name that the archive gives it.
func Load(ctx context.Context, w layout.World, archive string) error {
	args := []string{"ctr", "--address", w.ContainerdSocket(), "--namespace", criNamespace, "images", "import", archive}
	return command.Command{
		What: "load the image " + filepath.Base(archive), Args: args, Log: w.Log("images"),
		Remedy: "start the node with `world node up`",
	}.Run(ctx)
}

// Exists tells whether anything is left of a world's node.
func Exists(w layout.World) bool {
	_, err := os.Stat(w.Node())
	return !errors.Is(err, os.ErrNotExist)
}
