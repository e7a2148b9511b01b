package node

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"iamdb.dev/world/internal/image"
	"iamdb.dev/world/internal/layout"
)

const (
	// criNamespace is where containerd keeps what a kubelet asks for.
	criNamespace = "k8s.io"
	pauseImage   = "world.local/pause:1"
	// clientImage has what an application's image would: the stock clients of both databases, and a shell.
	clientImage = "world.local/client:1"
)

// containerdConfig has everything below the node's folder, and asks for nothing that a container or a small virtual machine may not
// do: lower an out-of-memory score, load an AppArmor profile.
func containerdConfig(w layout.World) string {
	return fmt.Sprintf(`version = 2
root = "%[1]s/root"
state = "%[1]s/state"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "%[2]s"
[ttrpc]
  address = "%[2]s.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "%[1]s/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "%[3]s"
  restrict_oom_score_adj = true
  disable_apparmor = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        Root = "%[1]s/runc"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "%[4]s"
    conf_dir = "%[1]s/cni"
`, w.Node(), w.ContainerdSocket(), pauseImage, cniPlugins)
}

type object = map[string]any

// podNetworkConfig hangs pods on the bridge that is there already, so the plugin need not make it a gateway: it would let the machine
// forward packets for everybody.
func podNetworkConfig(w layout.World) object {
	return object{"cniVersion": "0.4.0", "name": w.Cgroup(), "plugins": []object{{
		"type": "bridge", "bridge": w.Bridge(), "isGateway": false, "ipMasq": false,
		"ipam": object{
			"type": "host-local", "dataDir": w.Node("addresses"), "routes": []object{{"dst": "0.0.0.0/0"}},
			"ranges": [][]object{{{"subnet": w.PodNetwork(), "gateway": w.NodeHost()}}},
		},
	}}}
}

func (n Node) startContainerd(ctx context.Context) error {
	config := n.World.Node("containerd.toml")
	if err := os.WriteFile(config, []byte(containerdConfig(n.World)), 0o644); err != nil {
		return fmt.Errorf("write the configuration of containerd: %w", err)
	}
	if err := writeJSON(n.World.Node("cni", "world.conflist"), podNetworkConfig(n.World)); err != nil {
		return err
	}
	return n.ensure(ctx, layout.Containerd, []string{"containerd", "--config", config, "--log-level", "warn"}, func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", n.World.ContainerdSocket())
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
}

// loadOwnImages packs and loads the image of the pods' first container and the one of the clients.
func (n Node) loadOwnImages(ctx context.Context) error {
	done := n.World.Node("images.loaded")
	if _, err := os.Stat(done); err == nil {
		return nil
	}
	pause, client, err := ownImages(ctx, n.World)
	if err != nil {
		return err
	}
	for _, i := range []image.Image{pause, client} {
		archive := n.World.Node("image.tar")
		if err := pack(i, archive); err != nil {
			return err
		}
		if err := Load(ctx, n.World, archive); err != nil {
			return err
		}
		if err := os.Remove(archive); err != nil {
			return fmt.Errorf("remove the archive of %s: %w", i.Name, err)
		}
	}
	return os.WriteFile(done, nil, 0o644)
}

func pack(i image.Image, archive string) error {
	file, err := os.Create(archive)
	if err != nil {
		return fmt.Errorf("pack the image %s: %w", i.Name, err)
	}
	defer file.Close()
	if err := i.Write(file); err != nil {
		return err
	}
	return file.Close()
}

// applets are what a script in a pod may use.
var applets = []string{"cat", "date", "echo", "env", "grep", "head", "id", "ls", "nslookup", "printf", "readlink", "sh", "sleep", "stat", "tail", "true", "wc"}

func ownImages(ctx context.Context, w layout.World) (pause, client image.Image, err error) {
	programs := map[string]string{"mysql": w.Path("bin", "mysql"), "mariadb": w.Path("bin", "mariadb"), "busybox": "/bin/busybox"}
	for name, path := range programs {
		if programs[name], err = filepath.EvalSymlinks(path); err != nil {
			return pause, client, fmt.Errorf("find the program %s: %w", name, err)
		}
	}
	shell, err := image.Programs(ctx, image.Program{Source: programs["busybox"], Path: "/bin/busybox"})
	if err != nil {
		return pause, client, err
	}
	clients, err := image.Programs(ctx,
		image.Program{Source: programs["mariadb"], Path: "/usr/bin/mariadb"},
		// It finds its libraries beside itself.
		image.Program{Source: programs["mysql"], Path: "/opt/mysql/bin/mysql"},
	)
	if err != nil {
		return pause, client, err
	}
	pause = image.Image{Name: pauseImage, Entrypoint: []string{"/bin/busybox", "sleep", "infinity"}, Files: shell}
	client = image.Image{Name: clientImage, Command: []string{"/bin/sh"}, Files: append(clients, shell...)}
	client.Files = append(client.Files,
		image.File{Path: "/usr/bin/mysql", Link: "/opt/mysql/bin/mysql"},
		image.File{Path: "/etc/passwd", Text: "root:x:0:0::/:/bin/sh\napp:x:1000:1000::/:/bin/sh\n", Mode: 0o644},
	)
	// MariaDB's client loads what sends a token, from a folder that is built into it.
	plugins, err := filepath.Glob("/usr/lib/*/libmariadb3/plugin/mysql_clear_password.so")
	if err == nil && len(plugins) != 1 {
		err = fmt.Errorf("its plugin mysql_clear_password is at %d places", len(plugins))
	}
	if err != nil {
		return pause, client, fmt.Errorf("pack MariaDB's client: %w", err)
	}
	client.Files = append(client.Files, image.File{Path: plugins[0], Source: plugins[0]})
	for _, name := range applets {
		client.Files = append(client.Files, image.File{Path: "/bin/" + name, Link: "busybox"})
	}
	return pause, client, nil
}
